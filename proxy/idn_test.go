package proxy

import (
	"strings"
	"testing"
)

// A route whose host was written as people write it took no request: browsers
// send A-labels.
func TestHostThatIsNotASCII(t *testing.T) {
	const alabel = "xn--bcher-kva.example"
	up := record(t, okAnswer)
	c, below := fixture(up.url()), fixture(up.url())
	c.Host, c.HostHeader, c.Origins = "Bücher.example", "例え.internal", []string{"https://bücher.other"}
	below.Host = "*.bücher.example"
	h := open(t, setting{}, c, below)

	for _, name := range []string{alabel, strings.ToUpper(alabel), alabel + ".", "www." + alabel} {
		if got := status(h.raw(t, "GET /public/x HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n")); got != "200" {
			t.Errorf("%s: %s, want 200", name, got)
		}
	}
	if seen := strings.Join(up.seen(), ""); !strings.Contains(seen, "\r\nHost: xn--r8jz45g.internal\r\n") {
		t.Errorf("the application saw %q", seen)
	}
	for name, want := range map[string]string{"bücher.example": "400", "xn--bcher-kv.example": "421"} {
		if got := status(h.raw(t, "GET /public/x HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n")); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := h.proxy.routes[0].origins; len(got) != 1 || got[0] != "https://xn--bcher-kva.other" || c.Origins[0] != "https://bücher.other" {
		t.Errorf("the origins are %q, and those of the configuration %q", got, c.Origins)
	}
	for _, url := range []string{"https://bücher.example/public/x", "https://" + alabel + "/public/x"} {
		if e := h.proxy.Explain(t.Context(), ExplainRequest{URL: url}); e.Decision != "public" || !strings.HasPrefix(e.Route, alabel) {
			t.Errorf("%s: %s by the route %q", url, e.Decision, e.Route)
		}
	}
}
