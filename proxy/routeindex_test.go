package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"gatehouse/auth"
	"gatehouse/auth/portal"
	"gatehouse/internal/web"
)

func TestRouteIndexLoginFor(t *testing.T) {
	index, err := NewRouteIndex([]RouteConfig{
		{Host: host, Login: portal.RouteLoginConfig{Title: "all"}},
		{Host: host, Path: "/wiki", Login: portal.RouteLoginConfig{Title: "wiki"}},
		{Host: host, Path: "/plain/"},
		{Host: "bücher.example", Login: portal.RouteLoginConfig{Title: "books"}},
		{Host: "port.example:8443", Login: portal.RouteLoginConfig{Title: "port"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ host, next, title string }{
		{host, "/", "all"},
		{host, "/wiki/page?a=/plain", "wiki"},
		{host, "/wikis", "all"},
		{host, "/plain", ""},
		{"xn--bcher-kva.example", "/x", "books"},
		{"other.example", "/wiki", ""}, // nobody learns of routes of other hosts
		{"bad host", "/", ""},
		{"gate.example", "https://" + host, "all"},
		{"gate.example", "https://" + host + "/wiki/page?a=/plain", "wiki"},
		{"gate.example", "https://" + host + ":8443/wiki", "wiki"},
		{"gate.example", "HTTP://APP.example.test./wiki#a", "wiki"},
		{"gate.example", "https://" + host + "?a=/wiki", "all"},
		{"gate.example", "https://port.example:8443/", "port"},
		{"gate.example", "https://port.example/", ""},
		{host, "https://other.example/wiki", ""}, // not the host of the request
		{host, "https://a@" + host + "/wiki", ""},
		{host, "https:///wiki", ""},
		{host, "//" + host + "/wiki", "all"}, // a path, which /wiki is not
	} {
		info := &web.Info{Context: t.Context(), Scheme: "https", Host: tt.host}
		r := httptest.NewRequestWithContext(info, http.MethodGet, auth.Prefix+"login", nil)
		if got := index.LoginFor(r, tt.next).Title; got != tt.title {
			t.Errorf("%s, %s: %q, want %q", tt.host, tt.next, got, tt.title)
		}
	}
	if _, err := NewRouteIndex([]RouteConfig{{Path: "/a"}, {Path: "/a/"}}); err == nil {
		t.Error("two routes for one path are accepted")
	}
}

func TestRouteIndexServes(t *testing.T) {
	index, err := NewRouteIndex([]RouteConfig{
		{Host: "App.example.test."}, {Host: "*.wide.example"}, {Host: "bücher.example"}, {Host: "port.example:8443"}, {},
	})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"app.example.test":           true,
		"a.wide.example":             true,
		"a.b.wide.example":           true,
		"wide.example":               false,
		"xn--bcher-kva.example":      true,
		"bücher.example":             false, // not as browsers send it
		"app.example.test:443":       false,
		"APP.example.test":           false,
		"app.example.test.":          false,
		"port.example":               false,
		"other.example":              false, // only a route for any host takes it
		"app.example.test.evil":      false,
		"evil/app.example.test":      false,
		"evil@a.wide.example":        false,
		"evil.example/.wide.example": false,
		"":                           false,
	} {
		if got := index.Serves(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}
