//go:build e2e

package proxy

import (
	"fmt"
	"strings"
)

// sources is the folder of the programs of servers, from this package.
const sources = "../testdata/servers"

// A realServer is a program that answers requests in the way that a server or
// framework reads them: those of realServers with the places that they take the
// path for, one a line, those of formServers with the method.
type realServer struct {
	// modes are the ways in which it reads a path, each at a port of its own,
	// in the order of $PORTS; they have the names of their models, if any.
	modes   []string
	files   map[string]string // written into its folder; $ADDR, $PORT (the first) and $PWD are filled in
	command string            // the same, and $PORTS and $SOURCES
}

// realServers answer each request with the places that they take its path for.
var realServers = []realServer{
	{modes: []string{"node"}, files: map[string]string{"server.js": `
const path = require('path'), url = require('url');
const or = (f) => { try { return f() } catch { return '' } };
require('http').createServer((q, a) => {
  const name = or(() => new URL(q.url, 'http://host').pathname);
  a.end([q.url, name, or(() => decodeURI(name)), or(() => decodeURIComponent(name)), or(() => path.posix.normalize(decodeURIComponent(name))),
    or(() => path.posix.normalize(decodeURIComponent(q.url))), or(() => path.posix.join('/', url.parse(q.url).pathname)),
    or(() => path.posix.join('/', decodeURIComponent(url.parse(q.url).pathname))), or(() => new URL(decodeURIComponent(q.url), 'http://host').pathname)].join('\n'));
}).listen($PORT, '127.0.0.1');
`}, command: "exec node server.js"},
	{modes: []string{"hono"}, command: "exec node $SOURCES/hono.mjs $PORT"},
	{modes: []string{"nginx"}, files: map[string]string{"nginx.conf": `
daemon off; pid $PWD/pid; error_log stderr; worker_processes 1; events {}
http { access_log off; client_body_temp_path $PWD; proxy_temp_path $PWD; fastcgi_temp_path $PWD; uwsgi_temp_path $PWD; scgi_temp_path $PWD;
server { listen $ADDR; location / { return 200 "$uri"; } } }
`}, command: "exec nginx -p $PWD -e stderr -c nginx.conf"},
	apacheServer("apache, no encoded slashes", "Off"),
	apacheServer("apache, encoded slashes on", "On"),
	apacheServer("apache, encoded slashes as sent", "NoDecode"),
	{modes: []string{"lighttpd"}, files: map[string]string{"lighttpd.conf": `
server.document-root = "$PWD"
server.bind = "127.0.0.1"
server.port = $PORT
server.modules = ("mod_setenv", "mod_redirect")
server.http-parseopts = ("url-normalize" => "disable", "url-ctrls-reject" => "disable")
$HTTP["url"] =~ "(?s)^(.*)$" { url.redirect = ("" => "%{noesc:1}") }
`}, command: "exec lighttpd -D -f lighttpd.conf"},
	{modes: []string{"caddy"}, files: map[string]string{"Caddyfile": `
{
	admin off
	auto_https off
}
http://:$PORT {
	bind 127.0.0.1
	` + caddyPlaces() + `
	header +X-Place {path}
	header +X-Place {http.request.orig_uri.path}
	respond "{path}"
}
`}, command: "HOME=$PWD exec caddy run --config Caddyfile --adapter caddyfile"},
	{modes: []string{"php"}, files: map[string]string{"router.php": `<?php
foreach ([$_SERVER['REQUEST_URI'], $_SERVER['SCRIPT_NAME'], $_SERVER['PHP_SELF'] ?? '', $_SERVER['PATH_INFO'] ?? '', parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '',
  rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '')] as $place) echo $place, "\n";
`}, command: "exec php -S $ADDR router.php"},
	{modes: []string{"django"}, files: map[string]string{"server.py": djangoServer(`
import posixpath
from urllib.parse import urlsplit
def view(request):
    return HttpResponse('\n'.join([request.path, request.path_info, posixpath.normpath(request.path_info), urlsplit(request.get_full_path()).path]))
`)}, command: "exec python3 server.py"},
	{modes: []string{"flask"}, files: map[string]string{"server.py": `
import logging
from flask import Flask, request
from werkzeug.serving import make_server
app = Flask(__name__, static_folder=None)
@app.route('/', defaults={'place': ''})
@app.route('/<path:place>')
def place(place):
    return '\n'.join([request.path, '/' + place, request.environ['RAW_URI']])
@app.route('/admin', defaults={'place': ''})
@app.route('/admin/<path:place>')
def admin(place):
    return '/admin/' + place
logging.getLogger('werkzeug').disabled = True
make_server('127.0.0.1', $PORT, app, threaded=True).serve_forever()
`}, command: "exec python3 server.py"},
	{modes: []string{"rails", asFormat}, command: "exec ruby $SOURCES/rails.rb $PORTS"},
	{
		modes: []string{
			"tomcat, slashes refused", "tomcat, slashes decoded", "tomcat, slashes passed", "tomcat, all slashes decoded", "tomcat, all slashes passed",
			"jetty", "jetty, ambiguous paths",
		},
		// The compiler is Eclipse's, which comes with Tomcat.
		command: `export CLASSPATH=$PWD$(printf :%s /usr/share/java/{tomcat10-{catalina,coyote,juli,util,util-scan,servlet-api,annotations-api,jaspic-api,jni,api},servlet-api,jetty9-{server,http,io,util},eclipse-jdt-core}.jar)
java -XX:TieredStopAtLevel=1 org.eclipse.jdt.internal.compiler.batch.Main -17 -nowarn -proc:none -d $PWD $SOURCES/Servlets.java && exec java -XX:TieredStopAtLevel=1 Servlets $PORTS`,
	},
}

// djangoServer is the program of a Django server that answers every request with
// what the Python function view makes of it.
func djangoServer(view string) string {
	return `
import socketserver, sys, types
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
settings.configure(DEBUG=False, ALLOWED_HOSTS=['*'], ROOT_URLCONF='urls', SECRET_KEY='x' * 50)
from django.urls import re_path
` + view + `
sys.modules['urls'] = types.SimpleNamespace(urlpatterns=[re_path(r'(?s).*', view)])
class Quiet(WSGIRequestHandler):
    def log_message(self, *a): pass
class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
import django; django.setup()
s = Server(('127.0.0.1', $PORT), Quiet); s.set_app(WSGIHandler()); s.serve_forever()
`
}

// apacheServer is an Apache httpd with AllowEncodedSlashes set to slashes.
func apacheServer(mode, slashes string) realServer {
	return realServer{modes: []string{mode}, files: map[string]string{"file": "", "httpd.conf": `
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
Listen $ADDR
ServerName host
PidFile $PWD/pid
ErrorLog /dev/stderr
DocumentRoot $PWD
AllowEncodedSlashes ` + slashes + `
AliasMatch .* $PWD/file
Header set X-Place "expr=\"%{REQUEST_URI}\""
`}, command: "exec apache2 -d $PWD -f httpd.conf -DFOREGROUND"}
}

// caddyPlaces are matchers of paths, which decode and clean in their own way.
func caddyPlaces() string {
	var b strings.Builder
	for i, place := range []string{"/static", "/admin", "/closed", "/other", "/deep/er", "/_gate"} {
		fmt.Fprintf(&b, "@p%d path %s %s/*\n\theader @p%d +X-Place %s\n\t", i, place, place, i, place)
	}
	return b.String()
}
