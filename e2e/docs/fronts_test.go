//go:build e2e

package docs_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"gatehouse/internal/demo"
	"gatehouse/internal/e2e"
	"gatehouse/internal/yaml"
)

// TestFronts does what the pages of docs/behind say: the web server with the
// configuration that they show, with a certificate, in front of the gate with
// theirs. Traefik is not in Debian: its page was compared with its manual, and
// is looked at as YAML.
func TestFronts(t *testing.T) {
	t.Parallel()
	for page, f := range map[string]struct {
		file    string // that the page shows
		before  string // what stands before it in ours, and after
		after   string
		command string
	}{
		"nginx": {
			"nginx.conf", "daemon off;\npid $PWD/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n", "}\n",
			"nginx -p $PWD -e stderr -c $PWD/front.conf",
		},
		"haproxy": {"haproxy.cfg", "", "", "haproxy -db -f $PWD/front.conf"},
		"caddy": {
			"Caddyfile", "{\nadmin off\nauto_https off\n}\n", "",
			"env XDG_DATA_HOME=$PWD XDG_CONFIG_HOME=$PWD caddy run --adapter caddyfile --config $PWD/front.conf",
		},
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			app := httptest.NewServer(demo.New())
			t.Cleanup(app.Close)
			dir, files := e2e.OpenFolder(t), shownFiles(t, "docs/behind/"+page+".md")
			gate := e2e.Start(t, e2e.HTTP1, strings.ReplaceAll(withoutPlace(files["gatehouse.yaml"]), "http://127.0.0.1:3000", app.URL))

			front := &e2e.Gate{Mode: e2e.HTTPS1, Addr: e2e.FreeAddr(t), CA: e2e.NewCA(t, dir)}
			front.CA.Issue(t, e2e.Host)
			both := filepath.Join(dir, "both.pem")
			e2e.WriteFile(t, both, readFile(t, front.CA.CertFile)+readFile(t, front.CA.KeyFile), 0o600)
			here := strings.NewReplacer(
				"127.0.0.1:8080", gate.Addr,
				"listen 443 ssl", "listen "+front.Addr+" ssl", "bind :443", "bind "+front.Addr,
				"wiki.example.com {", "https://"+e2e.Host+":"+port(t, front.Addr)+" {\nbind 127.0.0.1\ntls "+front.CA.CertFile+" "+front.CA.KeyFile,
				"wiki.example.com", e2e.Host,
				"/etc/ssl/wiki.pem", front.CA.CertFile, "/etc/ssl/wiki.key", front.CA.KeyFile, "/etc/haproxy/wiki.pem", both,
				"$PWD", dir)
			e2e.WriteFile(t, filepath.Join(dir, "front.conf"), here.Replace(f.before+files[f.file]+f.after), 0o600)
			serveApplication(t, dir, here.Replace(f.command), front.Addr)
			useFront(t, front)
		})
	}
}

// shownFiles gives the named blocks of a page.
func shownFiles(t *testing.T, page string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, b := range blocks(t, page) {
		if b.name != "" {
			files[b.name] = b.text
		}
	}
	return files
}

// useFront comes to the demo application through both proxies.
func useFront(t *testing.T, front *e2e.Gate) {
	t.Helper()
	alice := front.Browser(t)
	spoofs := []string{"X-Forwarded-User: root", "X_Forwarded_User: root", "X-Forwarded-For: 203.0.113.66", "X-Forwarded-Proto: http", "X-Forwarded-Host: evil.test"}
	if a := alice.Fetch("/headers", spoofs...); a.Status != http.StatusUnauthorized {
		t.Errorf("not signed in: %d\n%s", a.Status, a.Body)
	}
	alice.Login("alice", e2e.Password)
	if alice.Cookie() == "" {
		t.Error("the cookie is not that of https: X-Forwarded-Proto was not believed")
	}
	var seen struct {
		User, Target, Host string
		Headers            []struct{ Name, Value string }
	}
	alice.Fetch("/headers?x=%20&&y", spoofs...).JSON(t, &seen)
	if seen.User != "alice" || seen.Target != "/headers?x=%20&&y" || !strings.HasPrefix(seen.Host, e2e.Host) {
		t.Errorf("the application saw %+v", seen)
	}
	want := map[string]string{"X-Forwarded-Proto": "https", "X-Real-Ip": "127.0.0.1"}
	for _, h := range seen.Headers {
		if strings.Contains(h.Value, "root") || strings.Contains(h.Value, "evil.test") {
			t.Errorf("%s: %s reached the application", h.Name, h.Value)
		}
		if w, ok := want[h.Name]; ok && h.Value != w {
			t.Errorf("%s: %s, want %s", h.Name, h.Value, w)
		}
	}

	body := alice.Stream(alice.Request("GET", "/events?every=60000", nil))
	if line, err := bufio.NewReader(body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "id: 1") {
		t.Errorf("the first event: %q, %v", line, err)
	}

	conn, _, err := websocket.Dial(t.Context(), alice.Base+"/echo", &websocket.DialOptions{ //nolint:bodyclose // the library owns it
		HTTPClient: alice.Client, HTTPHeader: http.Header{"Origin": {alice.Base}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	must(t, conn.Write(t.Context(), websocket.MessageText, []byte("hello")))
	if _, got, err := conn.Read(t.Context()); err != nil || string(got) != "alice: hello" {
		t.Errorf("echo: %q, %v", got, err)
	}
}

// TestForeignFilesParse looks at what pages show for programs that are not
// started: nginx is asked about its own, and YAML has to be YAML.
func TestForeignFilesParse(t *testing.T) {
	t.Parallel()
	dir := e2e.OpenFolder(t)
	snippet := strings.ReplaceAll(shownFiles(t, "docs/apps/php.md")["app-nginx.conf"], "include fastcgi_params;", "include /etc/nginx/fastcgi_params;")
	e2e.WriteFile(t, filepath.Join(dir, "nginx.conf"), "pid "+dir+"/pid;\nevents {}\nhttp {\naccess_log off;\n"+snippet+"}\n", 0o600)
	must(t, shell(t, dir, "nginx -t -q -e stderr -p . -c nginx.conf"))
	page := shownFiles(t, "docs/move/mod_auth_form.md")["httpd.conf"]
	page = strings.NewReplacer("modules/mod_", "/usr/lib/apache2/modules/mod_", "/srv/app", dir).Replace(page)
	e2e.WriteFile(t, filepath.Join(dir, "httpd.conf"), page, 0o600)
	must(t, shell(t, dir, "mkdir logs && apache2 -t -d "+dir+" -f httpd.conf"))
	for name, text := range shownFiles(t, "docs/behind/traefik.md") {
		var doc map[string]any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
