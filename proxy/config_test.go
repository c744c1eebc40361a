package proxy

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/access"
	"gatehouse/internal/problem"
)

// said collects what Check reports, as "key: message".
func said(check func(*problem.List)) (problems, warnings []string) {
	var found problem.List
	check(&found)
	for _, p := range found.Errors {
		problems = append(problems, p.String())
	}
	for _, p := range found.Warnings {
		warnings = append(warnings, p.String())
	}
	return problems, warnings
}

func TestRouteCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *RouteConfig)
		want   string // begins a problem, or after "warning " a warning; "": neither
	}{
		{"defaults", func(*RouteConfig) {}, ""},
		{"zero but for the upstream", func(c *RouteConfig) { *c = RouteConfig{Upstream: "http://127.0.0.1:1"} }, ""},
		{"https", func(c *RouteConfig) { c.Upstream = "https://wiki.internal" }, ""},
		{"unix", func(c *RouteConfig) { c.Upstream = "unix:/run/app.sock" }, ""},
		{"unix with slashes", func(c *RouteConfig) { c.Upstream = "unix:///run/app.sock" }, ""},
		{"IPv6", func(c *RouteConfig) { c.Upstream = "http://[::1]:3000/" }, ""},
		{"wildcard, port", func(c *RouteConfig) { c.Host = "*.Example.com:8443" }, ""},
		{"no upstream", func(c *RouteConfig) { c.Upstream = "" }, "upstream: is missing"},
		{"no scheme", func(c *RouteConfig) { c.Upstream = "localhost:3000" }, `upstream: "localhost:3000" has no http:// or https://; write "http://localhost:3000"`},
		{"file", func(c *RouteConfig) { c.Upstream = "file:///etc/passwd" }, `upstream: "file:///etc/passwd" is not a kind of upstream`},
		{"h2c", func(c *RouteConfig) { c.Upstream = "h2c://127.0.0.1:1" }, ""},
		{"credentials", func(c *RouteConfig) { c.Upstream = "http://user:pw-secret@127.0.0.1:1" }, "upstream: holds a user name or password"},
		{"credentials, broken", func(c *RouteConfig) { c.Upstream = "http://user:pw-secret@%zz" }, "upstream: holds a user name or password"},
		{"path in the upstream", func(c *RouteConfig) { c.Upstream = "http://127.0.0.1:1/app" }, `upstream: "http://127.0.0.1:1/app" has a path`},
		{"relative socket", func(c *RouteConfig) { c.Upstream = "unix:app.sock" }, "upstream: "},
		{"bad port", func(c *RouteConfig) { c.Upstream = "http://127.0.0.1:http" }, "upstream: "},
		{"a name that is not ASCII", func(c *RouteConfig) { c.Host, c.HostHeader = "*.BÜCHER.example:8443", "bücher.example" }, ""},
		{"origin that is not ASCII", func(c *RouteConfig) { c.Origins = []string{"https://bücher.example"} }, ""},
		{"no internationalized name", func(c *RouteConfig) { c.Host = "bücher_1.example" }, `host: "bücher_1.example" is not a host name`},
		{"no internationalized name, bidirectional", func(c *RouteConfig) { c.HostHeader = "אa.example" }, `host_header: "אa.example" is not a host`},
		{"origin of no internationalized name", func(c *RouteConfig) { c.Origins = []string{"https://bü cher.example"} }, "origins[0]: "},
		{"origin that is not ASCII, with its own port", func(c *RouteConfig) { c.Origins = []string{"https://bücher.example:443"} }, `origins[0]: "https://bücher.example:443" is not how browsers write it; write "https://xn--bcher-kva.example"`},
		{"any host by a star", func(c *RouteConfig) { c.Host = "*" }, `host: "*" is not a host; leave host out`},
		{"star inside", func(c *RouteConfig) { c.Host = "a.*.com" }, "host: "},
		{"star of a top level", func(c *RouteConfig) { c.Host = "*.com" }, "host: "},
		{"host as an address", func(c *RouteConfig) { c.Host = "https://a.example.com" }, "host: "},
		{"host with a path", func(c *RouteConfig) { c.Host = "a.example.com/x" }, "host: "},
		{"no slash", func(c *RouteConfig) { c.Path = "app/" }, `path: "app/" does not begin with a slash; write "/app/"`},
		{"escape in the path", func(c *RouteConfig) { c.Path = "/a%20b" }, "path: "},
		{"our own path", func(c *RouteConfig) { c.Path = "/_GATE/x" }, "path: "},
		{"host_header", func(c *RouteConfig) { c.HostHeader = "a b" }, "host_header: "},
		{"h2c upgrade", func(c *RouteConfig) { c.Upgrade = []string{"websocket", "h2c"} }, "upgrade[1]: "},
		{"TLS upgrade", func(c *RouteConfig) { c.Upgrade = []string{"TLS/1.0"} }, "upgrade[0]: "},
		{"no protocol", func(c *RouteConfig) { c.Upgrade = []string{"web socket"} }, "upgrade[0]: "},
		{"origin", func(c *RouteConfig) { c.Origins = []string{"https://a.example.com", "http://localhost:3000"} }, ""},
		{"any origin", func(c *RouteConfig) { c.Origins = []string{"*"} }, "origins[0]: "},
		{"origin without scheme", func(c *RouteConfig) { c.Origins = []string{"a.example.com"} }, `origins[0]: "a.example.com" has no scheme; write "https://a.example.com"`},
		{"origin with a path", func(c *RouteConfig) { c.Origins = []string{"https://a.example.com/"} }, `origins[0]: "https://a.example.com/" is more than an origin; write "https://a.example.com"`},
		{"origin with its own port", func(c *RouteConfig) { c.Origins = []string{"https://a.example.com:443"} }, `origins[0]: "https://a.example.com:443" is not how browsers write it; write "https://a.example.com"`},
		{"origin of something else", func(c *RouteConfig) { c.Origins = []string{"file://x"} }, "origins[0]: "},
		{"header_names", func(c *RouteConfig) { c.HeaderNames = "all" }, `header_names: "all" is not known; write strict or any`},
		{"any header names", func(c *RouteConfig) { c.HeaderNames = "any" }, "warning header_names: "},
		{"clear_site_data", func(c *RouteConfig) { c.ClearSite = "keep" }, "clear_site_data: "},
		{"nothing allowed", func(c *RouteConfig) { c.Access = []access.RuleConfig{} }, "warning access: the list is empty"},
		{"rule never reached", func(c *RouteConfig) { c.Access = []access.RuleConfig{{}, {Path: "/a", Deny: true}} }, "warning access[1]: is never reached"},
		{"rule reached for other methods", func(c *RouteConfig) {
			c.Access = []access.RuleConfig{{Path: "/a", Methods: []string{"GET"}}, {Path: "/a"}}
		}, ""},
		{"rule below another's path", func(c *RouteConfig) { c.Access = []access.RuleConfig{{Path: "/a/"}, {Exact: "/a/b"}} }, "warning access[1]: "},
		{"rule with other readings", func(c *RouteConfig) { c.Access = []access.RuleConfig{{Path: "/a b"}} }, `access[0].path: "/a b" can also be read as "/ab"`},
		{"rule in another alphabet", func(c *RouteConfig) { c.Access = []access.RuleConfig{{Path: "/über"}} }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fixture("http://127.0.0.1:1")
			c.Access = nil
			tt.change(&c)
			problems, warnings := said(c.Check)
			for _, w := range warnings {
				problems = append(problems, "warning "+w)
			}
			if tt.want == "" && len(problems) > 0 || tt.want != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0], tt.want)) {
				t.Errorf("Check says %q, want %q", problems, tt.want)
			}
			if strings.Contains(strings.Join(problems, ""), "pw-secret") {
				t.Errorf("the password is in %q", problems)
			}
		})
	}
}

func TestIdentityCheck(t *testing.T) {
	for header, want := range map[string]string{
		"X-Forwarded-User": "", "X_Forwarded_User": "", "Remote-User": "", "x-sso": "",
		"X Forwarded User": "not a header's name", "": "not a header's name", "X-User\n": "not a header's name",
		"Cookie": "has a meaning of its own", "cookie": "has a meaning of its own", "Authorization": "meaning", "Host": "meaning", "Connection": "meaning",
		"Content-Length": "meaning", "Transfer_Encoding": "meaning", "Te": "meaning", "Sec-Fetch-Mode": "meaning", "X-Forwarded-For": "meaning",
		"x_forwarded_host": "meaning", "X-Forwarded-Proto": "meaning", "X-Real-IP": "meaning", "Forwarded": "meaning", "Upgrade": "meaning", "Proxy": "meaning",
	} {
		c := IdentityConfig{Headers: map[string]string{header: "username"}}
		problems, _ := said(c.Check)
		if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || !strings.Contains(problems[0], want)) {
			t.Errorf("%q: %q, want %q", header, problems, want)
		}
	}
	for value, want := range map[string]string{
		"usernme": "did you mean username?", "user": "did you mean username?", "mail": "did you mean email?", "group": "did you mean groups?",
		"display-name": "did you mean display_name?", "colour": `"colour" is not known; write one of`,
	} {
		c := IdentityConfig{Headers: map[string]string{"X-A": value}}
		if problems, _ := said(c.Check); len(problems) != 1 || !strings.HasPrefix(problems[0], "headers.X-A: ") || !strings.Contains(problems[0], want) {
			t.Errorf("%q: %q, want %q", value, problems, want)
		}
	}
	c := IdentityConfig{Headers: map[string]string{"X-User": "username", "x_user": "email"}}
	if problems, _ := said(c.Check); len(problems) != 1 || !strings.Contains(problems[0], "cannot tell") {
		t.Errorf("two names for one: %q", problems)
	}
	var d IdentityConfig
	d.SetDefaults()
	if problems, _ := said(d.Check); len(problems) > 0 || len(d.Headers) != 4 {
		t.Errorf("defaults %v: %q", d.Headers, problems)
	}
}

func FuzzRouteCheck(f *testing.F) {
	f.Add("app.example.test", "/a", "http://127.0.0.1:1", "https://a.test")
	f.Add("*.x.y", "//", "unix:/x", "*")
	f.Fuzz(func(t *testing.T, hostName, path, upstream, origin string) {
		c := RouteConfig{Host: hostName, Path: path, Upstream: upstream, Origins: []string{origin}, Access: []access.RuleConfig{{Path: path}}}
		problems, _ := said(c.Check)
		if len(problems) > 0 {
			return
		}
		p, err := New(Options{Routes: []RouteConfig{c}, Auth: &gate{}, Pages: &gate{}})
		if err != nil {
			t.Fatalf("%+v has no problems, but: %v", c, err)
		}
		p.Close()
	})
}

func TestExplain(t *testing.T) {
	route := fixture("http://127.0.0.1:1")
	route.Access = append(route.Access[:3:3], access.RuleConfig{Path: "/catalogue", Optional: true}, access.RuleConfig{})
	h := open(t, setting{}, route)
	alice := &access.Who{Name: "alice"}
	for _, tt := range []struct {
		url      string
		method   string
		who      *access.Who
		decision string
		rule     int
	}{
		{"https://" + host + "/public/x", "", nil, "public", 0},
		{"https://" + host + "/x?a=b#c", "", nil, "challenge", 4},
		{"https://" + host + "/x", "POST", alice, "allow", 4},
		{"https://" + host + "/catalogue/x", "", nil, "optional", 3},
		{"https://" + host + "/catalogue/x", "", alice, "optional", 3},
		{"https://" + host + "/admin/x", "", alice, "deny", 2},
		{"https://" + host + "/public/..%2fx", "", alice, "ambiguous", -1},
		{"https://" + host + "/_gate/login", "", alice, "own-page", -1},
		{"https://" + host + "/%5fgate/login", "", alice, "bad-request", -1},
		{"https://" + host + "/%", "", alice, "bad-request", -1},
		{"https://" + host + "/x", "CONNECT", alice, "bad-request", -1},
		{"https://evil.test/x", "", alice, "no-route", -1},
		{"gopher://" + host + "/x", "", alice, "bad-request", -1},
		{"x", "", alice, "bad-request", -1},
	} {
		e := h.proxy.Explain(t.Context(), ExplainRequest{Method: tt.method, URL: tt.url, Who: tt.who})
		if e.Decision != tt.decision || e.Rule != tt.rule || e.Why == "" {
			t.Errorf("%s %s: %+v, want %s by rule %d", tt.method, tt.url, e, tt.decision, tt.rule)
		}
		if tt.decision == "ambiguous" && !slices.ContainsFunc(e.Readings, func(r Reading) bool {
			return r.Path == "/x" && r.How == "decoded, dot segments resolved" && r.Decision == "allow"
		}) {
			t.Errorf("readings %+v", e.Readings)
		}
	}
}
