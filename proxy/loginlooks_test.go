package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"gatehouse/auth"
	"gatehouse/auth/portal"
	"gatehouse/internal/web"
)

func TestLoginLooks(t *testing.T) {
	looks, err := NewLoginLooks([]RouteConfig{
		{Host: host, Login: portal.RouteLoginConfig{Title: "all"}},
		{Host: host, Path: "/wiki", Login: portal.RouteLoginConfig{Title: "wiki"}},
		{Host: host, Path: "/plain/"},
		{Host: "bücher.example", Login: portal.RouteLoginConfig{Title: "books"}},
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
	} {
		info := &web.Info{Context: t.Context(), Scheme: "https", Host: tt.host}
		r := httptest.NewRequestWithContext(info, http.MethodGet, auth.Prefix+"login", nil)
		if got := looks.For(r, tt.next).Title; got != tt.title {
			t.Errorf("%s%s: %q, want %q", tt.host, tt.next, got, tt.title)
		}
	}
	if _, err := NewLoginLooks([]RouteConfig{{Path: "/a"}, {Path: "/a/"}}); err == nil {
		t.Error("two routes for one path are accepted")
	}
}
