//go:build e2e

package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// formServers answer a POST with the method that it is to them.
var formServers = map[string]realServer{
	"php": {modes: []string{""}, files: map[string]string{"router.php": `<?php
$method = $_POST['_method'] ?? (str_contains($_SERVER['CONTENT_TYPE'] ?? '', 'json') ? json_decode(file_get_contents('php://input'), true)['_method'] ?? null : null) ?? 'POST';
echo is_string($method) ? strtoupper($method) : 'POST';
`}, command: "exec php -S $ADDR router.php"},
	"django": {modes: []string{""}, files: map[string]string{"server.py": djangoServer(`
def view(request):
    return HttpResponse(request.POST.get('_method', 'POST').upper())
`)}, command: "exec python3 server.py"},
	"node": {modes: []string{""}, files: map[string]string{"server.js": `
require('http').createServer(async (q, a) => {
  const pieces = []; for await (const p of q) pieces.push(p);
  try {
    const form = await new Response(Buffer.concat(pieces), {headers: {'Content-Type': q.headers['content-type']}}).formData();
    a.end(String(form.get('_method') ?? 'POST').toUpperCase());
  } catch { a.end('POST') }
}).listen($PORT, '127.0.0.1');
`}, command: "exec node server.js"},
	"rack": {modes: []string{""}, files: map[string]string{"server.rb": `
require 'rack'; require 'socket'; require 'stringio'
app = Rack::MethodOverride.new(->(env) { [200, {}, [env['REQUEST_METHOD']]] })
s = TCPServer.new('127.0.0.1', $PORT)
trap(:INT) { exit! }
loop { Thread.new(s.accept) { |c|
  env = {'REQUEST_METHOD' => 'POST', 'QUERY_STRING' => '', 'rack.errors' => StringIO.new}
  c.gets
  while (line = c.gets) && line != "\r\n"
    name, value = line.chomp.split(': ', 2)
    env[{'content-type' => 'CONTENT_TYPE', 'content-length' => 'CONTENT_LENGTH'}[name.downcase] || 'HTTP_X'] = value
  end
  env['rack.input'] = StringIO.new(c.read(env['CONTENT_LENGTH'].to_i).to_s.b)
  body = begin app.call(env)[2][0] rescue 'POST' end
  c.write "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: #{body.bytesize}\r\n\r\n#{body}"
  c.close
} }
`}, command: "exec ruby server.rb"},
}

// methodAt asks a server what a form is to it.
func methodAt(t *testing.T, addr, contentType, body string) string {
	t.Helper()
	if contentType != "" {
		contentType = "Content-Type: " + contentType + "\r\n"
	}
	a := answerOf(t, addr, fmt.Sprintf("POST / HTTP/1.1\r\nHost: host\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s", contentType, len(body), body))
	if a.Status != http.StatusOK {
		return ""
	}
	return strings.TrimSpace(a.Body)
}

// A sent is a form.
type sent struct{ contentType, body string }

// sentForms are forms in which some server or other could find _method=DELETE.
func sentForms() (forms []sent) {
	for _, name := range []string{
		"_method", "_METHOD", "%5Fmethod", "%5fmetho%64", "+_method", "%20_method", "++%20_method", ".method", " method", "_method[]", "_method%00x", "_method+", "%_method", "_method%5B0%5D", "_meth\x00od", "%u005fmethod",
	} {
		for i, value := range []string{"DELETE", "delete", "%44elete", "+delete", "delete+", "delete%0a", "DELETE%00", "%u0044ELETE"} {
			for j, form := range []string{"%s", "a=b&%s&c=d", "a=b;%s;c=d", "&&=;%s&", "_method=&%s", "a=%%zz&%s", "_method=put&%s", "\r\n%s\r\n"} {
				if i == 0 || i == j {
					forms = append(forms, sent{formType, fmt.Sprintf(form, name+"="+value)})
				}
			}
		}
	}
	for _, contentType := range []string{"", "Application/X-Www-Form-Urlencoded;charset=utf-8", formType + ", text/plain", "multipart/form-data", "multipart/mixed", "text/plain", "application/json"} {
		forms = append(forms, sent{contentType, "_method=DELETE"}, sent{contentType, `{"_method":"DELETE"}`}, sent{contentType, `{"a":{"b":"}"},"\u005fmethod" : "\u0044elete"}`})
	}
	for _, head := range []string{
		`Content-Disposition: form-data; name="_method"`, `content-disposition:form-data;name=_method`, `Content-Disposition : form-data; name="_method"`, `X: Content-Disposition: form-data; name="_method"`,
		"Content-Disposition: form-data;\r\n name=\"_method\"", "Content-Disposition: form-data\r\n; name=\"_method\"", `Content-Disposition: form-data; name='_method'`, `Content-Disposition: form-data; name="\_method"`,
		`Content-Disposition: form-data; name="%5Fmethod"`, `Content-Disposition: form-data; name*=UTF-8''%5Fmethod`, `Content-Disposition: form-data; name*0="_met"; name*1="hod"`, `Content-Disposition: form-data; name="=?utf-8?q?=5Fmethod?="`,
		`Content-Disposition: form-data; name=a; name="_method"`, `Content-Disposition: form-data; NAME="_method"; x=";"`, `Content-Disposition: form-data; name=" _method"`, `Content-Disposition: form-data; name=".method"`,
		`Content-Disposition: form-data; name="_method"; filename=""`, "Content-Disposition: form-data; name=\"_method\"\r\nContent-Transfer-Encoding: base64", "Content-Type: text/plain\r\nContent-Disposition: form-data; name=\"_method\"",
		"Content-Disposition: form-data; x=\"\n\n\"; name=\"_method\"", `Content-Disposition: form-data; name = "_method"`, `Content-Disposition: form-data; name="_method`, `Content-Disposition: form-data; name=_method x`,
	} {
		for _, value := range []string{"DELETE", "delete", " delete ", "DELETE\r\n", "REVMRVRF"} {
			for _, body := range []string{"--b\r\n%s\r\n\r\n%s\r\n--b--\r\n", "--b\n%s\n\n%s\n--b--\n", "x\r\n--b\r\n%s\r\n\r\n%s\r\n--b--", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--b\r\n%s\r\n\r\n%s--b--", "--b\r\n%s\n\nPUT--\r\n\r\n%s\r\n--b--"} {
				forms = append(forms, sent{[]string{multipartType, `multipart/form-data; boundary="b"`}[len(forms)%2], fmt.Sprintf(body, head, value)})
			}
		}
	}
	return forms
}

// What is a DELETE to a server that people run does not get past a rule for DELETE.
func TestNoRealServerTakesAFormForAnotherMethod(t *testing.T) {
	forms := sentForms()
	c := fixture(record(t, okAnswer).url())
	onlyAdminsDelete(&c)
	h := open(t, setting{}, c)
	client := h.client(t)
	refused := sync.OnceValue(func() map[sent]bool {
		m := map[sent]bool{}
		for _, f := range forms {
			status, _ := h.post(t, client, "alice", "/x", f.contentType, strings.NewReader(f.body))
			m[f] = status != http.StatusOK
		}
		return m
	})
	for name, server := range formServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, deletes := server.start(t)[0], 0
			for _, f := range forms {
				if methodAt(t, addr, f.contentType, f.body) != "DELETE" {
					continue
				}
				if deletes++; !refused()[f] {
					t.Errorf("%s: %q passes, and is a DELETE", f.contentType, f.body)
				}
			}
			if deletes < 10 {
				t.Errorf("%d of %d forms are a DELETE: that shows nothing", deletes, len(forms))
			}
		})
	}
}
