//go:build e2e

package docs_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

// sharedCache is an nginx that keeps what it may, and asks nobody again: it
// does not heed Vary, as many CDNs do not.
const sharedCache = `daemon off;
pid $PWD/pid;
error_log stderr;
events {}
http {
  access_log off;
  proxy_cache_path $PWD/cache keys_zone=pages:1m;
  server {
    listen $LISTEN;
    location / {
      proxy_pass http://$GATE;
      proxy_set_header Host $host;
      proxy_cache pages;
      proxy_cache_key $request_uri;
      proxy_cache_valid 200 404 10m;
      proxy_ignore_headers Vary;
      add_header X-Cache $upstream_cache_status always;
    }
  }
}
`

// TestSharedCacheInFront has a real cache between visitors and the gate. What
// an application says to somebody is seen by nobody else, whatever it says to
// caches; what it says to everybody is kept.
func TestSharedCacheInFront(t *testing.T) {
	t.Parallel()
	policies := map[string]string{
		"/none": "", "/public": "Cache-Control: public, max-age=600\r\n", "/shared": "Cache-Control: s-maxage=600\r\n", "/age": "Cache-Control: max-age=600\r\n",
		"/quoted": "Cache-Control: private=\"Set-Cookie\", max-age=600\r\n", "/transform": "Cache-Control: no-transform\r\n", "/empty": "Cache-Control:\r\n",
		"/pragma": "Pragma: x\r\n", "/expires": "Expires: Thu, 01 Jan 2099 00:00:00 GMT\r\n", "/accel": "Cache-Control: private\r\nX-Accel-Expires: 600\r\n",
		"/lines": "Cache-Control: max-age=600\r\nCache-Control: public\r\n", "/missing": "Cache-Control: public, max-age=600\r\n",
	}
	app := e2e.Record(t)
	app.Answer = func(q e2e.Request) string {
		status := "200 OK"
		if strings.HasSuffix(q.Target(), "missing") {
			status = "404 Not Found"
		}
		body := "page of " + strings.Join(q.Lines("X-Forwarded-User"), "")
		return "HTTP/1.1 " + status + "\r\n" + policies["/"+q.Target()[strings.LastIndexByte(q.Target(), '/')+1:]] +
			"Content-Type: text/plain\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	gate := e2e.Start(t, e2e.HTTP1, `
trusted_proxies: [127.0.0.1]
routes:
  - upstream: `+app.URL+`
    access: [{path: /open, public: true}, {path: /both, optional: true}, {}]
`)
	dir := e2e.OpenFolder(t)
	front := &e2e.Gate{Mode: e2e.HTTP1, Addr: e2e.FreeAddr(t)}
	e2e.WriteFile(t, filepath.Join(dir, "nginx.conf"), strings.NewReplacer("$PWD", dir, "$LISTEN", front.Addr, "$GATE", gate.Addr).Replace(sharedCache), 0o600)
	serveApplication(t, dir, "nginx -p "+dir+" -e stderr -c "+dir+"/nginx.conf", front.Addr)

	alice, stranger := front.Browser(t), front.Browser(t)
	alice.Login("alice", e2e.Password)
	bob := front.Browser(t)
	bob.Login("bob", e2e.Password)
	for path, policy := range policies {
		for _, place := range []string{"", "/both"} {
			alice.Visit(place + path)
			if a := alice.Visit(place + path); !strings.Contains(a.Body, "alice") || a.Header.Get("X-Cache") == "HIT" {
				t.Errorf("%s%s with %q: alice sees %q (%s)", place, path, policy, a.Body, a.Header.Get("X-Cache"))
			}
			if a := bob.Visit(place + path); !strings.Contains(a.Body, "bob") || strings.Contains(a.Body, "alice") {
				t.Errorf("%s%s with %q: bob sees %q (%s)", place, path, policy, a.Body, a.Header.Get("X-Cache"))
			}
		}
		if a := stranger.Visit(path); a.Status != http.StatusFound || strings.Contains(a.Body, "page of") {
			t.Errorf("%s with %q: a stranger sees %d %q (%s)", path, policy, a.Status, a.Body, a.Header.Get("X-Cache"))
		}
	}
	alice.Visit("/open/public")
	if a := stranger.Visit("/open/public"); a.Header.Get("X-Cache") != "HIT" {
		t.Errorf("a page for everybody is not kept: %v", a.Header)
	}
}
