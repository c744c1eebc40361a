//go:build e2e

package gate_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/internal/e2e"
)

// TestUpstreamReuseOff: with upstream_reuse: false no two requests share a
// connection, one after the other or at the same time, whatever the upstream
// speaks.
func TestUpstreamReuseOff(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"http", "https", "https with HTTP/2", "h2c"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const together = 4
			var requests atomic.Int32
			var used sync.Map      // connections that have carried a request
			var all sync.WaitGroup // of the requests at the same time
			all.Add(together)
			app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if _, again := used.LoadOrStore(r.Context().Value(connKey{}), true); again {
					t.Errorf("%s: over a connection that has carried a request", r.URL)
				}
				if r.URL.Path == "/together" {
					all.Done()
					all.Wait()
				}
				_, _ = io.WriteString(w, "app")
			}))
			app.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
				return context.WithValue(ctx, connKey{}, c)
			}
			route := ""
			switch kind {
			case "h2c":
				app.Config.Protocols = new(http.Protocols)
				app.Config.Protocols.SetUnencryptedHTTP2(true)
				app.Start()
				app.URL = strings.Replace(app.URL, "http:", "h2c:", 1)
			case "http":
				app.Start()
			default:
				app.EnableHTTP2 = kind != "https"
				app.StartTLS()
				route = ", upstream_tls: {pin: " + pinOf(app.Certificate().RawSubjectPublicKeyInfo) + "}"
			}
			t.Cleanup(app.Close)
			gate := e2e.Start(t, e2e.HTTP1, "routes:\n  - {upstream: \""+app.URL+"\", upstream_reuse: false, access: [{public: true}]"+route+"}\n")
			b := gate.Browser(t)
			ask := func(path string) {
				if a, err := b.Try(b.Request(http.MethodGet, path, nil)); err != nil || a.Status != http.StatusOK {
					t.Errorf("%s: %d %q, %v", path, a.Status, a.Body, err)
				}
			}
			for range 4 {
				ask("/")
			}
			var visitors sync.WaitGroup
			for range together {
				visitors.Go(func() { ask("/together") })
			}
			visitors.Wait()
			if n := requests.Load(); n != 4+together {
				t.Errorf("%d requests arrived, want %d", n, 4+together)
			}
		})
	}
}

// connKey finds the connection of a request in its context.
type connKey struct{}

// pinOf is the pin of a key in upstream_tls.
func pinOf(key []byte) string {
	sum := sha256.Sum256(key)
	return "sha256/" + base64.StdEncoding.EncodeToString(sum[:])
}

// TestReasonPhraseOverTLS: what an upstream says beside the status passes from
// https as from http.
func TestReasonPhraseOverTLS(t *testing.T) {
	t.Parallel()
	ca := e2e.NewCA(t, t.TempDir())
	ca.Issue(t, "127.0.0.1")
	pair, err := tls.LoadX509KeyPair(ca.CertFile, ca.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	url := listen(t, func(conn net.Conn) {
		secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
		for in := bufio.NewReader(secure); ; {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			_, _ = io.WriteString(secure, "HTTP/1.1 200 Everything is fine\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	for _, reuse := range []string{"true", "false"} {
		gate := e2e.Start(t, e2e.HTTP1, "routes:\n  - {upstream: \""+strings.Replace(url, "http:", "https:", 1)+"\", upstream_reuse: "+reuse+
			", access: [{public: true}], upstream_tls: {pin: "+pinOf(pair.Leaf.RawSubjectPublicKeyInfo)+"}}\n")
		conn := gate.Dial(t)
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+e2e.Host+"\r\nConnection: close\r\n\r\n")
		if all, _ := io.ReadAll(conn); !strings.HasPrefix(string(all), "HTTP/1.1 200 Everything is fine\r\n") || !strings.HasSuffix(string(all), "ok") {
			t.Errorf("upstream_reuse %s: %q", reuse, all)
		}
	}
}
