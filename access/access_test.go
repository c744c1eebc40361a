package access_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/access"
	"gatehouse/internal/problem"
)

var (
	alice = &access.Who{Name: "alice", Groups: []string{"staff"}}
	root  = &access.Who{Name: "root", Groups: []string{"admins"}}
)

func rules(tb testing.TB, list ...access.RuleConfig) *access.Rules {
	tb.Helper()
	if list == nil {
		list = []access.RuleConfig{}
	}
	rs, err := access.New(list)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	return rs
}

func TestDecide(t *testing.T) {
	list := []access.RuleConfig{
		{Path: "/static/", Public: true},
		{Exact: "/healthz", Public: true},
		{Path: "/admin", Groups: []string{"admins"}},
		{Path: "/both", Users: []string{"alice"}, Groups: []string{"admins"}},
		{Methods: []string{"DELETE"}, Deny: true},
		{Path: "/get", Methods: []string{"GET"}, Public: true},
		{Path: "/lan", Networks: []string{"10.0.0.0/8", "2001:db8::1"}, Public: true},
		{},
	}
	for _, tt := range []struct {
		name, method, path, client string
		who                        *access.Who
		want                       access.Decision
		rule                       int
	}{
		{"public prefix", "GET", "/static/x", "", nil, access.Public, 0},
		{"the prefix itself", "GET", "/static", "", nil, access.Public, 0},
		{"the prefix with a slash", "GET", "/static/", "", nil, access.Public, 0},
		{"whole segments only", "GET", "/statics", "", nil, access.Challenge, 7},
		{"a file beside the prefix", "GET", "/static.html", "", nil, access.Challenge, 7},
		{"not in the middle", "GET", "/a/static/x", "", nil, access.Challenge, 7},
		{"exact", "GET", "/healthz", "", nil, access.Public, 1},
		{"nothing below exact", "GET", "/healthz/x", "", nil, access.Challenge, 7},
		{"no slash after exact", "GET", "/healthz/", "", nil, access.Challenge, 7},
		{"group, unknown", "GET", "/admin/x", "", nil, access.Challenge, 2},
		{"group, other", "GET", "/admin/x", "", alice, access.Deny, 2},
		{"group, member", "GET", "/admin/x", "", root, access.Allow, 2},
		{"users or groups: the user", "GET", "/both", "", alice, access.Allow, 3},
		{"users or groups: the group", "GET", "/both", "", root, access.Allow, 3},
		{"users or groups: neither", "GET", "/both", "", &access.Who{Name: "bob"}, access.Deny, 3},
		{"denied for everyone", "DELETE", "/x", "", root, access.Deny, 4},
		{"denied for nobody too", "DELETE", "/x", "", nil, access.Deny, 4},
		{"method", "GET", "/get", "", nil, access.Public, 5},
		{"HEAD counts as GET", "HEAD", "/get", "", nil, access.Public, 5},
		{"another method", "POST", "/get", "", nil, access.Challenge, 7},
		{"methods are compared in capitals", "get", "/get", "", nil, access.Challenge, 7},
		{"network", "GET", "/lan", "10.1.2.3", nil, access.Public, 6},
		{"network, mapped address", "GET", "/lan", "::ffff:10.1.2.3", nil, access.Public, 6},
		{"single address", "GET", "/lan", "2001:db8::1", nil, access.Public, 6},
		{"single address with a zone", "GET", "/lan", "2001:db8::1%eth0", nil, access.Public, 6},
		{"other network", "GET", "/lan", "11.0.0.1", nil, access.Challenge, 7},
		{"unknown client", "GET", "/lan", "", nil, access.Challenge, 7},
		{"whoever is signed in", "GET", "/x", "", alice, access.Allow, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := access.Facts{Path: tt.path, Method: tt.method}
			if tt.client != "" {
				f.Client = netip.MustParseAddr(tt.client)
			}
			if got, rule := rules(t, list...).Decide(f, tt.who); got != tt.want || rule != tt.rule {
				t.Errorf("Decide(%s %s): %v by rule %d, want %v by rule %d", tt.method, tt.path, got, rule, tt.want, tt.rule)
			}
		})
	}
}

// An application that does not care for letter case, or for the slash at the
// end, must not be reached past the rule that is written for it.
func TestOtherSpellingOnlyCloses(t *testing.T) {
	rs := rules(
		t,
		access.RuleConfig{Path: "/Admin", Groups: []string{"admins"}},
		access.RuleConfig{Exact: "/secret", Deny: true},
		access.RuleConfig{Path: "/public", Public: true},
		access.RuleConfig{Path: "/catalogue", Optional: true},
		access.RuleConfig{},
	)
	for _, tt := range []struct {
		path string
		who  *access.Who
		want access.Decision
	}{
		{"/ADMIN/x", alice, access.Deny},
		{"/admin/x", alice, access.Deny},
		{"/admin/x", nil, access.Challenge},
		{"/admin/x", root, access.Allow},
		{"/secret/", alice, access.Deny},
		{"/Secret", alice, access.Deny},
		{"/secret/x", alice, access.Allow},
		{"/PUBLIC/x", nil, access.Challenge},
		{"/PUBLIC/x", alice, access.Allow},
		{"/public/x", nil, access.Public},
		{"/catalogue/x", nil, access.Optional},
		{"/catalogue/x", alice, access.Optional},
		{"/Catalogue/x", nil, access.Challenge},
		{"/Catalogue/x", alice, access.Allow},
	} {
		if got, _ := rs.Decide(access.Facts{Path: tt.path, Method: "GET"}, tt.who); got != tt.want {
			t.Errorf("Decide(%s, %v): %v, want %v", tt.path, tt.who, got, tt.want)
		}
	}
}

// Django 118.
func TestZeroValueDenies(t *testing.T) {
	f := access.Facts{Path: "/", Method: "GET"}
	var none *access.Rules
	for name, rs := range map[string]*access.Rules{"nil": none, "zero": {}, "empty list": rules(t)} {
		for _, who := range []*access.Who{nil, alice} {
			if d, i := rs.Decide(f, who); d != access.Deny || i != -1 {
				t.Errorf("%s rules: %v by %d, want deny by -1", name, d, i)
			}
		}
	}
	if access.Decision(0) != access.Deny {
		t.Error("the zero Decision does not deny")
	}
}

// Django 118.
func TestNoAccessSection(t *testing.T) {
	rs, err := access.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := access.Facts{Path: "/", Method: "GET"}
	if d, _ := rs.Decide(f, nil); d != access.Challenge {
		t.Errorf("nobody: %v, want challenge", d)
	}
	if d, _ := rs.Decide(f, alice); d != access.Allow {
		t.Errorf("alice: %v, want allow", d)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule access.RuleConfig
		want string // "key: part of the message"; "" for none
	}{
		{"signed in", access.RuleConfig{}, ""},
		{"all conditions", access.RuleConfig{Path: "/a b/ü", Methods: []string{"GET", "PROPFIND", "M-SEARCH"}, Networks: []string{"::ffff:10.0.0.0/104"}, Groups: []string{"a"}}, ""},
		{"no slash", access.RuleConfig{Path: "public/", Public: true}, `path: "public/" does not begin with a slash; write "/public/"`},
		{"path and exact", access.RuleConfig{Path: "/a", Exact: "/a"}, "exact: a rule has path or exact"},
		{"query", access.RuleConfig{Exact: "/a?b"}, "exact: "},
		{"escape", access.RuleConfig{Path: "/a%2fb"}, "path: "},
		{"pattern", access.RuleConfig{Path: "/a/*"}, "path: "},
		{"dots", access.RuleConfig{Path: "/a/../b"}, "path: "},
		{"empty segment", access.RuleConfig{Path: "//a"}, "path: "},
		{"control", access.RuleConfig{Path: "/a\n"}, "path: "},
		{"lower-case method", access.RuleConfig{Methods: []string{"GET", "post"}}, `methods[1]: "post" is not in capitals; write "POST"`},
		{"no method", access.RuleConfig{Methods: []string{"GET POST"}}, "methods[0]: "},
		{"method that never passes", access.RuleConfig{Methods: []string{"CONNECT"}}, "methods[0]: "},
		{"no network", access.RuleConfig{Networks: []string{"10.0.0"}}, "networks[0]: "},
		{"host bits", access.RuleConfig{Networks: []string{"10.0.0.1/8"}}, `networks[0]: "10.0.0.1/8" has bits beyond its prefix; write "10.0.0.0/8"`},
		{"half mapped", access.RuleConfig{Networks: []string{"::ffff:0.0.0.0/90"}}, "networks[0]: "},
		{"public and deny", access.RuleConfig{Path: "/a", Public: true, Deny: true}, "deny: "},
		{"public and optional", access.RuleConfig{Path: "/a", Public: true, Optional: true}, "optional: "},
		{"optional and deny", access.RuleConfig{Path: "/a", Optional: true, Deny: true}, "deny: "},
		{"optional and users", access.RuleConfig{Path: "/a", Optional: true, Users: []string{"a"}}, "optional: "},
		{"optional and groups", access.RuleConfig{Path: "/a", Optional: true, Groups: []string{"a"}}, "optional: "},
		{"public and groups", access.RuleConfig{Path: "/a", Public: true, Groups: []string{"a"}}, "public: "},
		{"deny and users", access.RuleConfig{Deny: true, Users: []string{"a"}}, "deny: "},
		{"empty groups would be everybody", access.RuleConfig{Groups: []string{}}, "groups: "},
		{"spaces", access.RuleConfig{Users: []string{" alice"}}, "users[0]: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var found problem.List
			tt.rule.Check(&found)
			got := found.Errors
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("Check: %q, want nothing", got)
			case tt.want != "" && !slices.ContainsFunc(got, func(p problem.Problem) bool { return strings.HasPrefix(p.String(), tt.want) }):
				t.Errorf("Check: %q, want %q", got, tt.want)
			}
			_, err := access.New([]access.RuleConfig{tt.rule})
			if wantErr := tt.want != ""; (err != nil) != wantErr {
				t.Errorf("New: %v, want an error: %v", err, wantErr)
			}
		})
	}
}

func genRule(t *rapid.T, name string) access.RuleConfig {
	var c access.RuleConfig
	path := rapid.SampledFrom([]string{"", "/", "/a", "/a/", "/a/b", "/A", "/b"}).Draw(t, name+" path")
	if rapid.Bool().Draw(t, name+" exact") {
		c.Exact = path
	} else {
		c.Path = path
	}
	if rapid.Bool().Draw(t, name+" has methods") {
		c.Methods = rapid.SliceOfN(rapid.SampledFrom([]string{"GET", "POST", "HEAD"}), 1, 2).Draw(t, name+" methods")
	}
	if rapid.Bool().Draw(t, name+" has networks") {
		c.Networks = rapid.SliceOfN(rapid.SampledFrom([]string{"10.0.0.0/8", "::1", "::ffff:10.0.0.0/104"}), 1, 2).Draw(t, name+" networks")
	}
	switch rapid.IntRange(0, 4).Draw(t, name+" verdict") {
	case 0:
		c.Public = true
	case 1:
		c.Deny = true
	case 2:
		c.Groups = []string{"staff"}
	case 3:
		c.Optional = true
	}
	return c
}

func genFacts(t *rapid.T) access.Facts {
	f := access.Facts{
		Path:   rapid.SampledFrom([]string{"/", "/a", "/a/", "/a/b", "/A/b", "/ab", "/b", "/a//b"}).Draw(t, "path"),
		Method: rapid.SampledFrom([]string{"GET", "HEAD", "POST"}).Draw(t, "method"),
	}
	if c := rapid.SampledFrom([]string{"", "10.0.0.1", "::1", "::ffff:10.0.0.1", "192.0.2.1"}).Draw(t, "client"); c != "" {
		f.Client = netip.MustParseAddr(c)
	}
	return f
}

func genWho(t *rapid.T) *access.Who {
	return rapid.SampledFrom([]*access.Who{nil, alice, root, {}}).Draw(t, "who")
}

// A rule alone in its list lets through no more when it says more.
func TestAddingAConditionNeverWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, f, who := genRule(t, "rule"), genFacts(t), genWho(t)
		more := c
		switch extra := genRule(t, "extra"); rapid.IntRange(0, 3).Draw(t, "which") {
		case 0:
			if more.Path == "" && more.Exact == "" {
				more.Path = extra.Path
			}
		case 1:
			if more.Methods == nil {
				more.Methods = extra.Methods
			}
		case 2:
			if more.Networks == nil {
				more.Networks = extra.Networks
			}
		case 3:
			if !more.Public && !more.Optional && !more.Deny {
				more.Groups = []string{"admins"}
				c.Groups = nil
			}
		}
		was, err1 := access.New([]access.RuleConfig{c})
		is, err2 := access.New([]access.RuleConfig{more})
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		before, _ := was.Decide(f, who)
		after, _ := is.Decide(f, who)
		if after > before {
			t.Errorf("%+v says %v, %+v says %v of %+v", c, before, more, after, f)
		}
	})
}

// Whatever the list, a rule in front that denies never opens anything, one at
// the end never changes what others decided, and signing in never closes what
// is open to anybody.
func TestListProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []access.RuleConfig
		for i := range rapid.IntRange(0, 4).Draw(t, "rules") {
			list = append(list, genRule(t, fmt.Sprintf("rule %d", i)))
		}
		f, who := genFacts(t), genWho(t)
		build := func(list []access.RuleConfig) *access.Rules {
			rs, err := access.New(append([]access.RuleConfig{}, list...))
			if err != nil {
				t.Fatal(err)
			}
			return rs
		}
		d, at := build(list).Decide(f, who)

		denies := genRule(t, "front")
		denies.Public, denies.Optional, denies.Groups, denies.Deny = false, false, nil, true
		if front, _ := build(append([]access.RuleConfig{denies}, list...)).Decide(f, who); front > d {
			t.Errorf("a rule that denies in front: %v became %v", d, front)
		}
		if end, i := build(append(list, genRule(t, "end"))).Decide(f, who); at >= 0 && (end != d || i != at) {
			t.Errorf("a rule at the end: %v by %d became %v by %d", d, at, end, i)
		}
		if anon, _ := build(list).Decide(f, nil); anon >= access.Optional && d < access.Allow || anon == access.Deny && d != access.Deny {
			t.Errorf("nobody: %v, %v: %v", anon, who, d)
		}
	})
}

func FuzzDecide(f *testing.F) {
	f.Add("/a", "/a/b", "GET", "10.0.0.0/8")
	f.Add("/", "//", "get", "::1")
	f.Fuzz(func(t *testing.T, rulePath, path, method, network string) {
		rs, err := access.New([]access.RuleConfig{{Path: rulePath, Networks: []string{network}, Public: true}})
		if err != nil {
			return
		}
		facts := access.Facts{Path: path, Method: method}
		if d, _ := rs.Decide(facts, nil); d != access.Deny {
			t.Errorf("a client that nobody knows is in %s: %v", network, d)
		}
		rs, err = access.New([]access.RuleConfig{{Path: rulePath, Public: true}})
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(rulePath, "/")
		below := path == base || strings.HasPrefix(path, base+"/")
		if d, _ := rs.Decide(facts, nil); (d == access.Public) != below && base != "" {
			t.Errorf("rule %q, path %q: %v", rulePath, path, d)
		}
	})
}

func ExampleRules() {
	rules, err := access.New([]access.RuleConfig{
		{Path: "/static", Public: true},
		{Path: "/admin", Groups: []string{"admins"}},
		{}, // whoever is signed in
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	alice := &access.Who{Name: "alice", Groups: []string{"staff"}}
	for _, path := range []string{"/static/a.css", "/wiki", "/admin/users"} {
		nobody, _ := rules.Decide(access.Facts{Path: path, Method: "GET"}, nil)
		hers, _ := rules.Decide(access.Facts{Path: path, Method: "GET"}, alice)
		fmt.Println(path, nobody, hers)
	}
	// Output:
	// /static/a.css public public
	// /wiki challenge allow
	// /admin/users challenge deny
}

// Applications have more names than one for a place: a rule counts for all of
// them where it is the stricter one, and opens none.
func TestAliasesOfARuledPathDoNotGetPast(t *testing.T) {
	rules, err := access.New([]access.RuleConfig{
		{Path: "/static", Public: true},
		{Path: "/admin", Groups: []string{"admins"}},
		{Exact: "/metrics", Deny: true},
		{Path: "/app/private", Groups: []string{"admins"}},
		{Path: "/kiosk", Groups: []string{"admins"}},
		{},
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]access.Decision{
		"/admin.json": access.Deny, "/ADMIN.json": access.Deny, "/admin.tar.gz": access.Deny, "/admin.php/x": access.Deny, "/admın/x": access.Deny, "/ADMİN": access.Deny,
		"/metrics.json": access.Deny, "/app.php/private": access.Deny, "/app/private.xml": access.Deny, "/ſtatic/x": access.Allow, "/\u212aiosk": access.Deny, "/kıosk": access.Deny,
		"/administrator": access.Allow, "/admin-x": access.Allow, "/x/admin.json": access.Allow, "/static.css": access.Allow, "/metrics/x": access.Allow, "/.admin": access.Allow,
		"/static/admin.json": access.Public,
	} {
		if d, _ := rules.Decide(access.Facts{Path: path, Method: "GET"}, alice); d != want {
			t.Errorf("%s: %v for alice, want %v", path, d, want)
		}
	}
}

func TestAsks(t *testing.T) {
	rules, err := access.New([]access.RuleConfig{
		{Path: "/a", Public: true},
		{Path: "/b", Deny: true},
		{Path: "/c", Users: []string{"bob"}, Groups: []string{"admins", "staff"}},
		{Path: "/d", Optional: true},
		{},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]string{
		0: "nothing: anybody may pass", 1: "nobody may pass", 2: "to be bob, or to be in admins or staff",
		3: "nothing: anybody may pass, and the application is told who is signed in", 4: "whoever is signed in", 5: "nobody may pass", -1: "nobody may pass",
	} {
		if got := rules.Asks(i); got != want {
			t.Errorf("rule %d asks for %q, want %q", i, got, want)
		}
	}
	if open, _ := access.New(nil); open.Asks(-1) != "whoever is signed in" {
		t.Errorf("a route without rules asks for %q", open.Asks(-1))
	}
}
