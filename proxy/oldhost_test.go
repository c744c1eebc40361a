package proxy

import (
	"strings"
	"testing"
)

// Load balancers ask HTTP/1.0 without a Host whether we are well.
func TestHTTP10WithoutAHost(t *testing.T) {
	tests := []struct {
		name   string
		host   string // of the route
		passed string // a part of the Host that the application sees; "": refused
	}{
		{"a named host", host, host},
		{"any host", "", "127.0.0.1:"},
		{"hosts below a name", "*.example.test", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := record(t, okAnswer)
			c := fixture(up.url())
			c.Host = tt.host
			h := open(t, setting{}, c)
			if tt.passed == "" {
				if got := status(h.raw(t, "GET /public/x HTTP/1.0\r\n\r\n")); got != "400" {
					t.Errorf("%s, want 400", got)
				}
				up.empty(t)
				return
			}
			if got := status(h.raw(t, "GET /admin/x HTTP/1.0\r\n\r\n")); got != "302" {
				t.Errorf("a ruled path: %s, want 302", got)
			}
			up.empty(t)
			if got := status(h.raw(t, "GET /public/x HTTP/1.0\r\n\r\n")); got != "200" {
				t.Errorf("%s, want 200", got)
			}
			if seen := strings.Join(up.seen(), ""); !strings.Contains(seen, "\r\nHost: "+tt.passed) {
				t.Errorf("the application saw %q", seen)
			}
			if got := status(h.raw(t, "GET /public/x HTTP/1.1\r\n\r\n")); got != "400" {
				t.Errorf("HTTP/1.1: %s, want 400", got)
			}
		})
	}
}

// A Host with an empty port is the host (RFC 3986, 3.2.3), for everybody.
func TestHostWithAnEmptyPort(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, fixture(up.url()))
	if got := status(h.raw(t, "GET /public/x HTTP/1.1\r\nHost: "+host+":\r\nConnection: close\r\n\r\n")); got != "200" {
		t.Errorf("%s, want 200", got)
	}
	if seen := strings.Join(up.seen(), ""); !strings.Contains(seen, "\r\nHost: "+host+"\r\n") {
		t.Errorf("the application saw %q", seen)
	}
}
