package main_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"gatehouse/internal/e2e"
)

// TLS 1.2 with CBC is what padding oracles are about.
func TestTLSWithoutCBC(t *testing.T) {
	t.Parallel()
	f := newFixture(t, e2e.HTTPS1)
	tests := []struct {
		name string
		id   uint16
		ok   bool
	}{
		{"CBC", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{"CBC, 256 bits", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, false},
		{"GCM", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		{"ChaCha", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true},
	}
	for _, tt := range tests {
		c := f.gate.CA.Client()
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tt.id}
		conn, err := (&tls.Dialer{Config: c}).DialContext(t.Context(), "tcp", f.gate.Addr)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// With tls.hsts, every answer over https says so, once: pages of ours, answers
// of the application whatever it says itself, and refusals.
func TestHSTSOnAllAnswers(t *testing.T) {
	t.Parallel()
	const want = "max-age=86400; includeSubDomains"
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=0")
	}))
	t.Cleanup(app.Close)
	gate := e2e.Start(t, program, e2e.HTTP1, "tls: {hsts: \""+want+"\"}\ntrusted_proxies: [127.0.0.1]\n"+
		"routes:\n  - {upstream: "+app.URL+", access: [{path: /public, public: true}, {}]}\n")
	b := gate.Browser(t)
	for _, path := range []string{"/public/x", "/private/x", "/_gate/login", "/_gate/static/nothing", "/_gate/session", "/private//..%2f"} {
		a := b.Visit(path, "X-Forwarded-Proto: https")
		if got := a.Header["Strict-Transport-Security"]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %d, %q", path, a.Status, got)
		}
		if got := b.Visit(path).Header["Strict-Transport-Security"]; path != "/public/x" && got != nil {
			t.Errorf("%s: %q over plain http", path, got)
		}
	}
}
