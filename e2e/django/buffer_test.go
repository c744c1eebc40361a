//go:build e2e

package django_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

// TestDjangoReadsBodiesWithoutLength: a WSGI application takes a body that
// comes in chunks for an empty one. With buffer_body it gets all of it, or is
// not asked.
func TestDjangoReadsBodiesWithoutLength(t *testing.T) {
	t.Parallel()
	app := startDjango(t)
	for _, m := range e2e.Modes {
		t.Run(m.Name, func(t *testing.T) {
			alice := e2e.Start(t, m, `
routes:
  - {path: /plain, upstream: `+app+`, strip_prefix: true}
  - {path: /echo, upstream: `+app+`, buffer_body: 1MiB, max_requests: 4}
  - {path: /upload, upstream: `+app+`, buffer_body: 1MiB, max_requests: 4}
`).Browser(t)
			alice.Login("alice", e2e.Password)

			var plain struct {
				Bytes int `json:"body_bytes"`
			}
			if alice.Do("PUT", "/plain/echo", stream([]byte("hello"))).JSON(t, &plain); plain.Bytes != 0 {
				t.Errorf("without buffer_body the application read %d bytes: this test shows nothing", plain.Bytes)
			}
			for _, size := range []int{1, 20_000, 1 << 20} {
				var got struct {
					Bytes  int               `json:"body_bytes"`
					SHA256 string            `json:"body_sha256"`
					Header map[string]string `json:"headers"`
				}
				body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				alice.Do("PUT", "/echo", stream(body)).JSON(t, &got)
				if want := fmt.Sprintf("%x", sha256.Sum256(body)); got.Bytes != size || got.SHA256 != want {
					t.Errorf("%d bytes: the application read %d", size, got.Bytes)
				}
			}
			if a := alice.Do("PUT", "/echo", stream(make([]byte, 1<<20+1))); a.Status != http.StatusRequestEntityTooLarge {
				t.Errorf("one byte more than buffer_body: %d, want 413", a.Status)
			}

			var form bytes.Buffer
			parts := multipart.NewWriter(&form)
			part, _ := parts.CreateFormFile("file", "a.bin")
			_, _ = part.Write(bytes.Repeat([]byte("x"), 300_000))
			_ = parts.Close()
			var got struct{ Files []struct{ Bytes int } }
			alice.Do("POST", "/upload", stream(form.Bytes()), "Content-Type: "+parts.FormDataContentType()).JSON(t, &got)
			if len(got.Files) != 1 || got.Files[0].Bytes != 300_000 {
				t.Errorf("uploaded %+v", got)
			}
		})
	}
}

// stream hides how long a body is.
func stream(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

// TestDjangoUnderAPrefix: an application that believes to be alone on a host
// of its own works below a path of another.
func TestDjangoUnderAPrefix(t *testing.T) {
	t.Parallel()
	app := startDjango(t)
	for _, m := range e2e.Modes {
		t.Run(m.Name, func(t *testing.T) {
			alice := e2e.Start(t, m, `
routes:
  - path: /app
    upstream: `+app+`
    strip_prefix: true
    host_header: upstream
    rewrite: {urls: true, cookies: true}
    cookies: {secure: true, http_only: true, except: [legacycsrftoken], same_site: strict}
    request_headers: {set: {X-Fixed: "1"}, remove: [X-Debug]}
    response_headers: {set: {X-Frame-Options: SAMEORIGIN}, remove: [Server]}
`).Browser(t)
			alice.Login("alice", e2e.Password)

			for to, want := range map[string]string{
				"/whoami?a":         "/app/whoami?a",
				app + "/whoami":     alice.Base + "/app/whoami",
				"whoami":            "whoami",
				"//evil.test/x":     "//evil.test/x",
				"https://evil.test": "https://evil.test",
			} {
				a := alice.Visit("/app/redirect?to=" + url.QueryEscape(to))
				if a.Status != http.StatusFound || a.Location() != want {
					t.Errorf("redirect to %s: %d %q, want %q", to, a.Status, a.Location(), want)
				}
			}
			a := alice.Visit("/app/protected")
			if a.Header.Get("X-Frame-Options") != "SAMEORIGIN" || a.Header.Get("Server") != "" {
				t.Errorf("headers %v", a.Header)
			}

			page := alice.Visit("/app/form")
			want := []string{"Path=/app", "SameSite="}
			if m.TLS {
				want = append(want, "Secure")
			}
			cookie := page.Header.Get("Set-Cookie")
			for _, w := range want {
				if !strings.HasPrefix(cookie, "legacycsrftoken=") || !strings.Contains(cookie, w) || strings.Contains(cookie, "HttpOnly") {
					t.Errorf("cookie %q, want %s and no HttpOnly", cookie, w)
				}
			}
			token := djangoToken.FindStringSubmatch(page.Body)
			if token == nil {
				t.Fatal("no token")
			}
			var got struct{ Posted map[string]string }
			form := url.Values{"csrfmiddlewaretoken": {token[1]}, "text": {"hello"}}
			alice.Submit("/app/form", form, "Referer: "+alice.Base+"/app/form").JSON(t, &got)
			if got.Posted["text"] != "hello" {
				t.Errorf("posted %q", got.Posted)
			}

			var counter struct{ N int }
			for n := range 2 { // the application's own session comes back to it
				if alice.Visit("/app/counter").JSON(t, &counter); counter.N != n+1 {
					t.Errorf("counter %d, want %d", counter.N, n+1)
				}
			}
			var me whoami
			alice.Visit("/app/whoami", "X_Fixed: evil", "x-fixed: evil", "X-Debug: 1").JSON(t, &me)
			if me.User != "alice" || me.Headers["HTTP_X_FIXED"] != "1" || me.Headers["HTTP_X_DEBUG"] != "" || !slices.Contains(me.Cookies, "legacycsrftoken") {
				t.Errorf("whoami: %+v", me)
			}
		})
	}
}
