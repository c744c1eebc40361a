//go:build e2e

package docs_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// TestApplications does what the pages of docs/apps say: writes the files that
// they show, starts the application with the command that they show, puts the
// gate with the configuration that they show in front, and signs in.
func TestApplications(t *testing.T) {
	t.Parallel()
	for page, a := range map[string]struct {
		before string // a command for what the page takes for granted
		start  string // the beginning of the line that starts it
		own    string // a command of ours in its place, where the page leaves that to the system
		path   string
	}{
		"php":    {start: "php -S", path: "/"},
		"flask":  {start: "gunicorn ", path: "/"},
		"node":   {start: "node ", path: "/"},
		"django": {before: "django-admin startproject mysite . && python3 manage.py migrate -v0", start: "gunicorn ", path: "/admin/login/"},
		"cgi":    {own: "apache2 -d $PWD -f httpd.conf -c 'PidFile $PWD/pid' -c 'ScriptSock $PWD/sock' -c 'ErrorLog /dev/stderr' -DFOREGROUND", path: "/hello.cgi"},
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			addr := e2e.FreeAddr(t)
			dir := e2e.OpenFolder(t)
			here := strings.NewReplacer("127.0.0.1:3000", addr, "3000, '127.0.0.1'", port(t, addr)+", '127.0.0.1'",
				"/srv/app", dir, "modules/mod_", "/usr/lib/apache2/modules/mod_", "$PWD", dir, "wiki.example.com", e2e.Host)
			var config, command string
			if a.before != "" {
				must(t, shell(t, dir, a.before))
			}
			for _, b := range blocks(t, "docs/apps/"+page+".md") {
				if line, _, _ := strings.Cut(b.text, "\n"); a.start != "" && strings.HasPrefix(line, a.start) {
					command = here.Replace(line)
				}
				switch b.name {
				case "":
				case "gatehouse.yaml":
					config = here.Replace(b.text)
				default:
					appendFile(t, filepath.Join(dir, b.name), here.Replace(b.text))
				}
			}
			if a.own != "" {
				command = here.Replace(a.own)
			}
			serveApplication(t, dir, command, addr)
			useApplication(t, config, a.path, addr)
		})
	}
}

// useApplication looks at the application past the gate and through it.
func useApplication(t *testing.T, config, path, addr string) {
	t.Helper()
	gate := e2e.Start(t, e2e.HTTP1, withoutPlace(config))
	alice := gate.Browser(t)
	if a := alice.Visit(path, "X-Forwarded-User: alice", "X_Forwarded_User: alice"); a.Status != http.StatusFound {
		t.Errorf("not signed in: %d\n%s", a.Status, a.Body)
	}
	alice.Login("alice", e2e.Password)
	if a := alice.Visit(path, "X-Forwarded-User: root", "X_Forwarded_User: root"); a.Status != http.StatusOK || !strings.Contains(a.Body, "alice") || strings.Contains(a.Body, "root") {
		t.Errorf("signed in: %d\n%.2000s", a.Status, a.Body)
	}
	alice.Logout()
	if a := alice.Visit(path); a.Status != http.StatusFound {
		t.Errorf("signed out: %d\n%s", a.Status, a.Body)
	}
	direct, err := http.Get("http://" + addr + path) //nolint:noctx // a test's own application
	if err != nil {
		t.Fatal(err)
	}
	_ = direct.Body.Close()
	if direct.StatusCode == http.StatusInternalServerError || direct.StatusCode == http.StatusNotFound {
		t.Errorf("asked without a name it says %d", direct.StatusCode)
	}
}

// withoutPlace takes out of a configuration what e2e.Start writes itself.
func withoutPlace(config string) string {
	var rest strings.Builder
	for line := range strings.Lines(config) {
		if !strings.HasPrefix(line, "listen: ") && !strings.HasPrefix(line, "data_dir: ") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// serveApplication runs a command until the end of the test, and waits until
// somebody listens.
func serveApplication(t *testing.T, dir, command, addr string) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), "bash", "-c", "exec "+command) //nolint:gosec // a line of our own pages
	cmd.Dir = dir
	cmd.Env = systemPath()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	must(t, err)
	cmd.Stdout, cmd.Stderr = out, out
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s\n%s", command, readFile(t, out.Name()))
		}
	})
	e2e.Eventually(t, func() error {
		select {
		case <-ended:
			t.Fatalf("%s has ended at once (make setup installs what is missing)\n%s", command, readFile(t, out.Name()))
		default:
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return fmt.Errorf("%s does not listen: %w\n%s", command, err, readFile(t, out.Name()))
		}
		return conn.Close()
	})
}

// systemPath is the environment with Debian's programs first: its Python has
// Django, and there may be another.
func systemPath() []string {
	return append(os.Environ(), "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE=1")
}

func shell(t *testing.T, dir, command string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", command) //nolint:gosec // ours
	cmd.Dir, cmd.Env = dir, systemPath()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}

func appendFile(t *testing.T, name, text string) {
	t.Helper()
	old, err := os.ReadFile(name) //nolint:gosec // in a folder of the test
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	e2e.WriteFile(t, name, string(old)+text, 0o755) // Apache, started by root, reads it as somebody else
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	must(t, err)
	return port
}
