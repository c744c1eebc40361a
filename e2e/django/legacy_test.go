//go:build e2e

package django_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/e2e"
)

// startDjango runs the legacy application, a real Django under gunicorn that
// takes the user from X-Forwarded-User. What env sets counts.
func startDjango(t *testing.T, env ...string) (url string) {
	t.Helper()
	_, port, err := net.SplitHostPort(e2e.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join("testdata", "legacy-django", "start.sh"), //nolint:gosec // a script of ours
		append([]string{port, "LEGACY_DATA=" + t.TempDir(), "LEGACY_TRUST_FORWARDED=1", "PYTHONDONTWRITEBYTECODE=1"}, env...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("start.sh: %v\n%s\n(make setup installs what is missing)", err, out)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(pid, syscall.SIGTERM)
		e2e.Eventually(t, func() error {
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
				return errors.New("gunicorn still runs")
			}
			return nil
		})
	})
	return "http://127.0.0.1:" + port
}

// whoami is what the application's page of that name says.
type whoami struct {
	User, Email, Scheme, Host, Absolute string
	Headers                             map[string]string
	Cookies                             []string
}

var djangoToken = regexp.MustCompile(`name="csrfmiddlewaretoken" value="([^"]+)"`)

// TestLegacyDjango uses an application as people do. It has its own sessions,
// its own CSRF check and its own idea of who asks.
func TestLegacyDjango(t *testing.T) {
	t.Parallel()
	app := startDjango(t)
	for _, m := range e2e.Modes {
		t.Run(m.Name, func(t *testing.T) { useDjango(t, m, app) })
	}
}

func useDjango(t *testing.T, m e2e.Mode, app string) {
	gate := e2e.Start(t, m, e2e.Standard(app))
	nobody, alice := gate.Browser(t), gate.Browser(t)
	if a := nobody.Visit("/whoami"); a.Status != http.StatusFound {
		t.Fatalf("not signed in: %d", a.Status)
	}
	alice.Login("alice", e2e.Password)

	var me whoami
	spoofs := []string{"X_Forwarded_User: admin", "X-Forwarded_User: admin", "x-forwarded-user: admin", "X_FORWARDED_EMAIL: admin@evil.test", "X_Forwarded_Groups: admin"}
	alice.Visit("/whoami", spoofs...).JSON(t, &me)
	if me.User != "alice" || me.Email != "alice@example.com" || me.Scheme != m.Scheme() || me.Absolute != alice.Base+"/whoami" {
		t.Errorf("whoami: %+v", me)
	}
	for name, value := range me.Headers {
		if strings.Contains(value, "admin") || strings.Contains(value, alice.Cookie()) {
			t.Errorf("%s: %s reached the application", name, value)
		}
	}
	if slices.ContainsFunc(me.Cookies, func(name string) bool { return strings.Contains(name, "gatehouse") }) {
		t.Errorf("cookies %q", me.Cookies)
	}

	t.Run("the application's own session lives beside ours", func(t *testing.T) {
		var counter struct{ N int }
		for want := range 3 {
			if alice.Visit("/counter").JSON(t, &counter); counter.N != want+1 {
				t.Errorf("counter %d, want %d", counter.N, want+1)
			}
		}
	})
	t.Run("form under Django's CSRF check", func(t *testing.T) {
		token := djangoToken.FindStringSubmatch(alice.Visit("/form").Body)
		if token == nil {
			t.Fatal("no token")
		}
		form := url.Values{"csrfmiddlewaretoken": {token[1]}, "text": {"grüß & co"}}
		var got struct{ Posted map[string]string }
		alice.Submit("/form", form, "Referer: "+alice.Base+"/form").JSON(t, &got)
		if got.Posted["text"] != "grüß & co" {
			t.Errorf("posted %q", got.Posted)
		}
		if a := alice.Submit("/form", url.Values{"text": {"x"}}); a.Status != http.StatusForbidden {
			t.Errorf("without a token: %d, want Django's 403", a.Status)
		}
	})
	t.Run("upload", func(t *testing.T) {
		content := bytes.Repeat([]byte("0123456789abcdef"), 256<<10) // 4 MiB
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, _ := form.CreateFormFile("file", "größe.bin")
		_, _ = part.Write(content)
		_ = form.Close()
		var got struct {
			Files []struct {
				Bytes  int
				SHA256 string
			}
		}
		alice.Do("POST", "/upload", &body, "Content-Type: "+form.FormDataContentType()).JSON(t, &got)
		if want := fmt.Sprintf("%x", sha256.Sum256(content)); len(got.Files) != 1 || got.Files[0].Bytes != len(content) || got.Files[0].SHA256 != want {
			t.Errorf("uploaded %+v", got)
		}
	})
	t.Run("download", func(t *testing.T) {
		for _, length := range []string{"1", "0"} {
			a := alice.Visit("/download?n=3000000&length=" + length)
			if len(a.Body) != 3_000_000 || a.Err != nil || a.Body[257] != 1 {
				t.Errorf("length=%s: %d bytes, error %v", length, len(a.Body), a.Err)
			}
		}
	})
	t.Run("lines and events come one by one", func(t *testing.T) {
		for _, path := range []string{"/stream?n=3&wait=0.3", "/sse?n=3&wait=0.3"} {
			body := alice.Stream(alice.Request("GET", path, nil))
			in := bufio.NewReader(body)
			if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "0") {
				t.Errorf("%s: first line %q, error %v", path, line, err)
			}
			rest := 0
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					break
				}
				rest += len(line)
			}
			if rest == 0 {
				t.Errorf("%s: nothing after the first line", path)
			}
		}
	})
	t.Run("redirects, cookies, 304", func(t *testing.T) {
		if a := alice.Visit("/redirect?to=/whoami%3Fa&code=301"); a.Status != 301 || a.Location() != "/whoami?a" {
			t.Errorf("redirect: %d %q", a.Status, a.Location())
		}
		if a := alice.Visit("/cookies?set=a=1&set=b=2&del=c"); len(a.Header["Set-Cookie"]) < 3 {
			t.Errorf("Set-Cookie %q", a.Header["Set-Cookie"])
		}
		if a := alice.Visit("/etag", `If-None-Match: "v1"`); a.Status != http.StatusNotModified {
			t.Errorf("etag: %d", a.Status)
		}
		var got struct {
			RawURI string `json:"raw_uri"`
			Query  string
		}
		if alice.Visit("/echo/a%2Fb;c?x=%20&&y").JSON(t, &got); got.RawURI != "/echo/a%2Fb;c?x=%20&&y" {
			t.Errorf("the target came as %q", got.RawURI)
		}
	})
	t.Run("who signs out is nobody to the application", func(t *testing.T) {
		alice.Logout()
		if a := alice.Visit("/whoami"); a.Status != http.StatusFound {
			t.Errorf("after logout: %d", a.Status)
		}
		alice.Login("bob", e2e.Password) // in the same browser, with the application's session of alice
		var me whoami
		if alice.Visit("/whoami").JSON(t, &me); me.User != "bob" {
			t.Errorf("after bob signed in the application says %q", me.User)
		}
	})
}
