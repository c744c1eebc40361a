package proxy

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/web"
)

// Decide says what ServeHTTP does and Explain shows, and touches no upstream.
func TestDecide(t *testing.T) {
	up := record(t, okAnswer)
	c := fixture(up.url())
	c.Access = append([]access.RuleConfig{{Methods: []string{"DELETE"}, Groups: []string{"admins"}}}, c.Access...)
	h := open(t, setting{}, c)
	for _, tt := range []struct {
		name, method, target, person string
		header                       http.Header
		outcome                      access.Decision
		own, looked                  bool
		status                       int // of the error; 0: none
	}{
		{name: "allowed", method: "GET", target: "/x", person: "alice", outcome: access.Allow, looked: true},
		{name: "nobody", method: "GET", target: "/x", outcome: access.Challenge, looked: true},
		{name: "public", method: "GET", target: "/public/x", person: "alice", outcome: access.Public},
		{name: "denied", method: "DELETE", target: "/x", person: "alice", outcome: access.Deny, looked: true},
		{name: "the query names another method", method: "POST", target: "/x?_method=DELETE", person: "alice", outcome: access.Deny, looked: true},
		{name: "one of our own pages", method: "GET", target: auth.Prefix + "login", own: true},
		{name: "the destination is an admin's", method: "COPY", target: "/x", person: "alice", header: http.Header{"Destination": {"/admin/x"}}, looked: true, status: 403},
		{name: "a worker at the root", method: "GET", target: "/sw.js", person: "alice", header: http.Header{"Service-Worker": {"script"}}, status: 403},
		{name: "two interpretations", method: "GET", target: "/public/..%2fadmin/x", person: "alice", status: 400},
		{name: "a tunnel", method: "TRACE", target: "/x", status: 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			info := &web.Info{Context: t.Context(), Scheme: "https", Host: host}
			r := httptest.NewRequestWithContext(info, tt.method, "/", nil)
			r.RequestURI, r.Header = tt.target, tt.header
			if r.Header == nil {
				r.Header = http.Header{}
			}
			if tt.person != "" {
				r.Header.Set("Cookie", ourCookie+"="+tt.person)
			}
			d, err := h.proxy.Decide(r)
			if code := codeOf(err); code != tt.status {
				t.Fatalf("error %v, want %d", err, tt.status)
			}
			if d.Outcome != tt.outcome || d.OwnPage != tt.own || d.DependsOnSession != tt.looked {
				t.Errorf("decided %v, own page %v, session looked up %v", d.Outcome, d.OwnPage, d.DependsOnSession)
			}
			if tt.header != nil {
				return // explain has no header
			}
			e := h.proxy.Explain(t.Context(), ExplainRequest{Method: tt.method, URL: "https://" + host + tt.target, Who: whoIs(people[tt.person])})
			if err == nil && !tt.own && e.Decision != d.Outcome.String() || tt.own && e.Decision != "own-page" {
				t.Errorf("explain says %s: %s", e.Decision, e.Why)
			}
		})
	}
	up.empty(t)
}

// Whoever cannot be told is denied, with 503.
func TestDecideFailsClosed(t *testing.T) {
	g := &gate{identify: func(*http.Request) (*auth.Identity, error) { return people["root"], errors.New("the store is gone") }}
	h := open(t, setting{gate: g}, fixture("http://127.0.0.1:1"))
	info := &web.Info{Context: t.Context(), Scheme: "https", Host: host}
	d, err := h.proxy.Decide(httptest.NewRequestWithContext(info, http.MethodGet, "/x", nil))
	if codeOf(err) != http.StatusServiceUnavailable || d.Outcome != access.Deny || d.Identity != nil || !strings.HasPrefix(d.Route(), host) {
		t.Errorf("decided %v for %v on %q, %v", d.Outcome, d.Identity, d.Route(), err)
	}
}

func codeOf(err error) int {
	if err == nil {
		return 0
	}
	return web.AsError(err).Code
}
