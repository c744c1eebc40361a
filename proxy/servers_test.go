package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
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

// A realServer answers each request with the places that it
// takes the path for, one a line.
type realServer struct {
	files   map[string]string // written into its folder; $ADDR, $PORT and $PWD are filled in
	command string
}

var realServers = map[string]realServer{
	"node": {files: map[string]string{"server.js": `
const path = require('path'), url = require('url');
const or = (f) => { try { return f() } catch { return '' } };
require('http').createServer((q, a) => {
  const name = or(() => new URL(q.url, 'http://host').pathname);
  a.end([q.url, name, or(() => decodeURI(name)), or(() => decodeURIComponent(name)), or(() => path.posix.normalize(decodeURIComponent(name))),
    or(() => path.posix.normalize(decodeURIComponent(q.url))), or(() => url.parse(q.url).pathname), or(() => new URL(decodeURIComponent(q.url), 'http://host').pathname)].join('\n'));
}).listen($PORT, '127.0.0.1');
`}, command: "node server.js"},
	"nginx": {files: map[string]string{"nginx.conf": `
daemon off; pid $PWD/pid; error_log stderr; worker_processes 1; events {}
http { access_log off; client_body_temp_path $PWD; proxy_temp_path $PWD; fastcgi_temp_path $PWD; uwsgi_temp_path $PWD; scgi_temp_path $PWD;
server { listen $ADDR; location / { return 200 "$uri"; } } }
`}, command: "nginx -p $PWD -e stderr -c nginx.conf"},
	"apache":                       apacheServer("Off"),
	"apache, encoded slashes on":   apacheServer("On"),
	"apache, encoded slashes kept": apacheServer("NoDecode"),
	"php": {files: map[string]string{"router.php": `<?php
foreach ([$_SERVER['REQUEST_URI'], $_SERVER['SCRIPT_NAME'], $_SERVER['PHP_SELF'] ?? '', $_SERVER['PATH_INFO'] ?? '', parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '',
  rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '')] as $place) echo $place, "\n";
`}, command: "php -S $ADDR router.php"},
	"django": {files: map[string]string{"server.py": `
import posixpath, socketserver
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
settings.configure(DEBUG=False, ALLOWED_HOSTS=['*'], ROOT_URLCONF='urls', SECRET_KEY='x' * 50)
import sys, types
from django.urls import re_path
def place(request):
    return HttpResponse('\n'.join([request.path, request.path_info, posixpath.normpath(request.path_info), urlsplit(request.get_full_path()).path]))
sys.modules['urls'] = types.SimpleNamespace(urlpatterns=[re_path(r'(?s).*', place)])
class Quiet(WSGIRequestHandler):
    def log_message(self, *a): pass
class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
import django; django.setup()
s = Server(('127.0.0.1', $PORT), Quiet); s.set_app(WSGIHandler()); s.serve_forever()
`}, command: "python3 server.py"},
}

func apacheServer(slashes string) realServer {
	return realServer{files: map[string]string{"httpd.conf": `
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
Listen $ADDR
ServerName host
PidFile $PWD/pid
ErrorLog /dev/stderr
DocumentRoot $PWD
AllowEncodedSlashes ` + slashes + `
Header always set X-Place "expr=%{REQUEST_URI}"
`}, command: "apache2 -d $PWD -f httpd.conf -DFOREGROUND"}
}

// start runs the server until the end of the test.
func (s realServer) start(t *testing.T) (addr string) {
	t.Helper()
	dir := t.TempDir()
	addr = e2e.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	fill := strings.NewReplacer("$ADDR", addr, "$PORT", port, "$PWD", dir)
	for name, text := range s.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fill.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "exec "+fill.Replace(s.command)) //nolint:gosec // G204: a command from above
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, &out, &out, 10*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { <-ended })
	e2e.Eventually(t, func() error {
		select {
		case <-ended:
			t.Fatalf("%s has ended at once (make setup installs what is missing): %s", s.command, out.String())
		default:
		}
		conn, err := net.Dial("tcp", addr) //nolint:noctx // a test's own server
		if err != nil {
			return fmt.Errorf("%s does not listen: %w", s.command, err)
		}
		return conn.Close()
	})
	return addr
}

// placesAt asks a server on one connection after another what it takes a path
// for; none: it refuses.
func placesAt(t *testing.T, addr, p string) []string {
	t.Helper()
	conn, err := net.Dial("tcp", addr) //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(e2e.Patience))
	if _, err := io.WriteString(conn, "GET "+p+" HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil // some end the connection
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil
	}
	list := res.Header["X-Place"]
	switch res.StatusCode {
	case http.StatusBadRequest: // refused
		return nil
	case http.StatusOK:
		list = append(list, strings.Split(string(body), "\n")...)
	}
	var places []string
	for _, place := range list {
		if strings.HasPrefix(place, "/") {
			places = append(places, place)
		}
	}
	return places
}

// What passes is no ruled place to the servers that people run.
func TestNoRealServerReadsARuledPlace(t *testing.T) {
	paths := []string{
		"/static/x", "/static/x%2fy/%2e%2e/%2e%2e/admin/", "/x%2fy/%2e%2e/admin/", "/x%2Fy/%2e./admin/", "/x%3by%2fz/%2e%2e/admin/", "/x%2fy/%2e%2e;/admin/", "///x/admin/",
		"//x/admin/", "/..//x/admin", "/static/x%5cy/%2e%2e/%2e%2e/admin/", "/static/%2e%2e/closed", "/deep/x%2fy/%2e%2e/er/", "/index.php/admin", "/x%2fy/%2e%2e/other/", "/x/a%2Fb",
		"/static/x%2fy/%2e%2e/%2e%2e/private", "/%2e%2e/admin", "/static/.%2e/admin", "/x/..%2fadmin", "/x/..%5cadmin", "/x%00/admin", "/%61dmin", "/x/%252e%252e/admin",
	}
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // G404: the same paths at each run
	choices := make([]byte, 12)
	for range 120 {
		for i := range choices {
			choices[i] = byte(r.IntN(256)) //nolint:gosec // G115: a byte
		}
		paths = append(paths, madeOf(choices[:2+r.IntN(10)]))
	}
	hr := ruled(t)
	for name, server := range realServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, read := server.start(t), 0
			for _, p := range paths {
				list := placesAt(t, addr, p)
				if read += len(list); len(list) == 0 {
					continue
				}
				if bad := tooFar(hr, p, map[string][]string{name: list}); bad != "" {
					t.Error(bad)
				}
			}
			if places := placesAt(t, addr, "/static/x"); read < 30 || len(places) == 0 || places[0] != "/static/x" {
				t.Errorf("%d places were read, /static/x as %q: that shows nothing", read, places)
			}
		})
	}
}
