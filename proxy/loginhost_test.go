package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/auth"
	"gatehouse/internal/web"
)

const loginHost = "gate.example.test"

// A pathlessGate answers every request for our pages, and notes their targets.
type pathlessGate struct {
	*gate
	targets []string
}

func (g *pathlessGate) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	g.mu.Lock()
	g.targets = append(g.targets, r.RequestURI)
	g.mu.Unlock()
	_, err := io.WriteString(w, "our page")
	return err
}

// served returns the targets since it was last called.
func (g *pathlessGate) served() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.targets
	g.targets = nil
	return list
}

// openWithLoginHost opens a proxy whose routes, of a wildcard and of any host, would
// all take the login host.
func openWithLoginHost(t *testing.T, up *recorder) (*house, *pathlessGate) {
	t.Helper()
	pages := &pathlessGate{gate: &gate{}}
	app, wild, whole := fixture(up.url()), fixture(up.url()), fixture(up.url())
	wild.Host, wild.Access = "*.example.test", nil
	whole.Host = ""
	h := open(t, setting{options: func(o *Options) { o.LoginHost, o.Pages = loginHost, pages }}, app, wild, whole)
	return h, pages
}

// Nothing that names the login host is ever forwarded, whatever the path says, who
// asks, and which routes match.
func TestLoginHostForwardsNothing(t *testing.T) {
	up := record(t, okAnswer)
	h, pages := openWithLoginHost(t, up)
	for _, target := range []string{
		"/", "/x", "/public/x", "/healthz", "/admin/x?_method=DELETE", auth.Prefix, auth.Prefix + "login", auth.Prefix + "login?next=/x",
		"//", "//x", "//" + host + "/x", "///public/", "/%2e%2e/", "/../x", "/public/../x", "/public/..%2fadmin", "/x%2fy", "/%5fgate/login", "/_GATE/login",
		"/_gate%2f..%2fpublic/x", "/x;a=b", "/%00", "/%c0%af", "/?//", "http://" + loginHost + "/public/x", "http://" + loginHost,
	} {
		for _, name := range []string{loginHost, "GATE.Example.TEST", loginHost + ".", loginHost + ":8443", loginHost + ":"} {
			absolute := strings.HasPrefix(target, "http://")
			if absolute && strings.Contains(name, ":8443") {
				continue // another host than that of the target
			}
			for _, line := range []string{"", aliceLine} {
				answer := h.raw(t, "GET "+target+" HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n"+line+"\r\n")
				if got := pages.served(); status(answer) != "200" || len(got) != 1 || got[0] != target {
					t.Errorf("%s on %s: our pages served %q; %s", target, name, got, answer)
				}
			}
		}
	}
	up.empty(t)
	if h.gate.looked() != 0 {
		t.Error("the proxy looked up a session for our own pages")
	}
}

// What never passes is refused on the login host as on any other.
func TestLoginHostRefusals(t *testing.T) {
	up := record(t, okAnswer)
	h, pages := openWithLoginHost(t, up)
	for _, tt := range []struct{ line, host, status string }{
		{"TRACE /", loginHost, "405"},
		{"CONNECT " + loginHost + ":443", loginHost + ":443", "405"},
		{"get /", loginHost, "405"},
		{"OPTIONS *", loginHost, "400"},
		{"GET /%", loginHost, "400"},
		{"GET /a\\b", loginHost, "400"},
		{"GET /%zz", loginHost, "400"},
		{"GET /", loginHost + ":x", "400"},
		{"GET /", loginHost + "/x", "400"},
		{"GET http://a@" + loginHost + "/", loginHost, "400"},
	} {
		answer := h.raw(t, tt.line+" HTTP/1.1\r\nHost: "+tt.host+"\r\nConnection: close\r\n\r\n")
		if status(answer) != tt.status {
			t.Errorf("%s on %s: %s, want %s", tt.line, tt.host, answer, tt.status)
		}
	}
	if got := pages.served(); len(got) > 0 {
		t.Errorf("our pages served %q", got)
	}
	up.empty(t)
}

// The host of an absolute target must be the Host, also where one of them is the
// login host. HTTP/1 hides the difference: net/http takes the target's.
func TestLoginHostInTargetOnly(t *testing.T) {
	h, _ := openWithLoginHost(t, record(t, okAnswer))
	for _, tt := range []struct{ authority, host string }{{loginHost, host}, {host, loginHost}, {loginHost + ":81", loginHost}} {
		info := &web.Info{Context: t.Context(), Scheme: "http", Host: tt.host}
		r := httptest.NewRequestWithContext(info, http.MethodGet, "/", nil)
		r.RequestURI = "http://" + tt.authority + "/x"
		if d, err := h.proxy.Decide(r); codeOf(err) != http.StatusMisdirectedRequest || d.OwnPage {
			t.Errorf("http://%s/x on %s: %v, own page %v", tt.authority, tt.host, err, d.OwnPage)
		}
	}
}

// The hosts of applications, and those that only look like the login host, are
// routed as without one.
func TestLoginHostChangesNoOtherHost(t *testing.T) {
	up := record(t, okAnswer)
	h, pages := openWithLoginHost(t, up)
	for _, name := range []string{host, "a." + loginHost, "gate-example.test", "xgate.example.test", loginHost + ".evil.test"} {
		up.forget()
		answer := h.raw(t, "GET /x HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n"+aliceLine+"\r\n")
		if status(answer) != "200" || len(pages.served()) > 0 {
			t.Errorf("%s: %s", name, answer)
		}
		signed(t, up.one(t), "alice")
	}
	up.forget()
	answer := h.get(t, auth.Prefix+"enter?code=x")
	if status(answer) != "200" || len(pages.served()) != 1 {
		t.Errorf("our pages below %s: %s", auth.Prefix, answer)
	}
	up.empty(t)
}

// The login host needs no route at all.
func TestLoginHostWithoutRoutes(t *testing.T) {
	pages := &pathlessGate{gate: &gate{}}
	h := open(t, setting{options: func(o *Options) { o.LoginHost, o.Pages = loginHost, pages }})
	for name, want := range map[string]string{loginHost: "200", host: "421"} {
		answer := h.raw(t, "GET / HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n")
		if status(answer) != want {
			t.Errorf("%s: %s, want %s", name, answer, want)
		}
	}
}

func TestExplainLoginHost(t *testing.T) {
	h, _ := openWithLoginHost(t, record(t, okAnswer))
	for _, url := range []string{"https://" + loginHost, "https://" + loginHost + ":8443//x%2fy"} {
		e := h.proxy.Explain(t.Context(), ExplainRequest{URL: url})
		if e.Decision != "own-page" || !strings.Contains(e.Why, "login.host") || e.Route != "" || e.RouteAt() != -1 {
			t.Errorf("%s: %+v", url, e)
		}
	}
	if e := h.proxy.Explain(t.Context(), ExplainRequest{URL: "https://" + host + auth.Prefix}); e.Decision != "own-page" || strings.Contains(e.Why, "login.host") {
		t.Errorf("on an application's host: %+v", e)
	}
}

// A spelling that is never compared would send the login host's requests to routes.
func TestLoginHostMustBeCanonical(t *testing.T) {
	for _, name := range []string{"Gate.example.test", "gate.example.test.", "gate.example.test:443", "https://gate.example.test", "*.example.test", " "} {
		g := &gate{}
		if p, err := New(Options{Auth: g, Pages: g, LoginHost: name}); err == nil {
			p.Close()
			t.Errorf("%q is accepted", name)
		}
	}
}
