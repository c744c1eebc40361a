package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// answered gives what the visitor sees of an answer's head.
func answered(t *testing.T, s setting, change func(c *RouteConfig), path, head string) http.Header {
	t.Helper()
	up := record(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"+head+"\r\nok")
	c := fixture(up.url())
	if change != nil {
		change(&c)
	}
	h := open(t, s, c)
	res, _, err := h.exchange(t, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"\r\n")
	if err != nil {
		t.Fatal(err)
	}
	return res.Header
}

// u01, u02, u23 and their class: an upstream must not set, shadow or delete
// our cookie.
func TestUpstreamCannotSetOurCookie(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		for _, line := range []string{
			ourCookie + "=x; Path=/; Secure", ourCookie + "=; Max-Age=0", "gatehouse=x", "GATEHOUSE=x; Domain=example.test", " gatehouse =x", "gatehouse\t=x",
			"=gatehouse=x", "==" + ourCookie + "=x", "\"gatehouse\"=x", "gatehouse", ourCookie, "a=b, gatehouse=x", "a=b; Path=/, gatehouse=x; Path=/",
			"__host-gatehouse=x", "__Host-gatehouse_csrf=x", "\u2003gatehouse=x", ";gatehouse=x", "a=b;gatehouse=x",
		} {
			header := answered(t, s, nil, "/x", "Set-Cookie: keep=1\r\nSet-Cookie: "+line+"\r\nset-cookie: also=2\r\nSet-Cookie2: "+line+"\r\n")
			if got := header["Set-Cookie"]; !slices.Equal(got, []string{"keep=1", "also=2"}) {
				t.Errorf("Set-Cookie %q: %q passed", line, got)
			}
			if got := header["Set-Cookie2"]; len(got) > 0 {
				t.Errorf("Set-Cookie2 %q: %q passed", line, got)
			}
		}
		other := []string{"gatehouse2=x", "my_gatehouse=x", "a=gatehouse", "a=\"gatehouse=1\"", "theme=dark; Path=/gatehouse"}
		header := answered(t, s, nil, "/x", "Set-Cookie: "+strings.Join(other, "\r\nSet-Cookie: ")+"\r\n")
		if got := header["Set-Cookie"]; !slices.Equal(got, other) {
			t.Errorf("Set-Cookie %q, want all of %q", got, other)
		}
	})
}

// An application has no business on our pages: a cookie that goes there alone
// could only fill the request, or stand beside one of ours.
func TestUpstreamCannotSetACookieForOurPages(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		for _, attributes := range []string{"Path=/_gate/", "Path=/_gate", "Path=/_gate/login", "path = /_gate/x", "Path=/; PATH=/_gate/", "Secure;Path=/_gate/;HttpOnly", "Path=/_GATE/"} {
			header := answered(t, s, nil, "/x", "Set-Cookie: keep=1\r\nSet-Cookie: bomb=x; "+attributes+"\r\n")
			if got := header["Set-Cookie"]; !slices.Equal(got, []string{"keep=1"}) {
				t.Errorf("%s: %q passed", attributes, got)
			}
		}
		other := []string{"a=1; Path=/", "b=2; Path=/_gateway", "c=/_gate/; Path=/app", "d=4; Path=/app/_gate/"}
		if got := answered(t, s, nil, "/x", "Set-Cookie: "+strings.Join(other, "\r\nSet-Cookie: ")+"\r\n")["Set-Cookie"]; !slices.Equal(got, other) {
			t.Errorf("Set-Cookie %q, want all of %q", got, other)
		}
	})
}

func TestAnswerHeaders(t *testing.T) {
	pass := func(c *RouteConfig) { c.ClearSite = passClear }
	for _, tt := range []struct {
		name, path, head string
		change           func(c *RouteConfig)
		header           string
		want             []string
	}{
		{"cookies are cleared", "/x", "Clear-Site-Data: \"cache\", \"cookies\"\r\n", nil, "Clear-Site-Data", nil},
		{"everything is cleared", "/x", "Clear-Site-Data: \"*\"\r\n", nil, "Clear-Site-Data", nil},
		{"storage is cleared", "/x", "Clear-Site-Data: \"storage\"\r\n", nil, "Clear-Site-Data", []string{`"storage"`}},
		{"cookies may be cleared", "/x", "Clear-Site-Data: \"cookies\"\r\n", pass, "Clear-Site-Data", []string{`"cookies"`}},
		{"who asks comes back", "/x", "X_Forwarded_User: alice\r\nX-Forwarded-User: alice\r\n", nil, "X-Forwarded-User", nil},
		{"the same in another spelling", "/x", "X_Forwarded_User: alice\r\n", nil, "X_forwarded_user", nil},
		{"a request id of theirs", "/x", "X-Mine: 1\r\nX-Request-Id: theirs\r\n", nil, "X-Mine", []string{"1"}},
		{"no cache policy", "/x", "", nil, "Cache-Control", []string{"private, no-cache"}},
		{"a cache policy", "/x", "Cache-Control: private, max-age=5\r\n", nil, "Cache-Control", []string{"private, max-age=5"}},
		{"an old cache policy", "/x", "Expires: 0\r\n", nil, "Cache-Control", []string{"private"}},
		{"a policy for everybody on a public path", "/public/x", "Cache-Control: public, max-age=5\r\n", nil, "Cache-Control", []string{"public, max-age=5"}},
		{"a policy for CDNs on a public path", "/public/x", "CDN-Cache-Control: max-age=5\r\n", nil, "Cdn-Cache-Control", []string{"max-age=5"}},
		{"public, no cache policy", "/public/x", "", nil, "Cache-Control", nil},
		{"varies", "/x", "Vary: Accept\r\n", nil, "Vary", []string{"Accept", "Cookie"}},
		{"varies already", "/x", "Vary: accept, cookie\r\n", nil, "Vary", []string{"accept, cookie"}},
		{"public does not vary", "/public/x", "", nil, "Vary", nil},
		{"wide worker", "/static/sw.js", "Service-Worker-Allowed: /\r\n", nil, "Service-Worker-Allowed", nil},
		{"wide worker, relative", "/static/sw.js", "Service-Worker-Allowed: ../\r\n", nil, "Service-Worker-Allowed", nil},
		{"worker of our pages", "/sw.js", "Service-Worker-Allowed: /_gate/\r\n", nil, "Service-Worker-Allowed", nil},
		{"worker by prefix", "/sw.js", "Service-Worker-Allowed: /_\r\n", nil, "Service-Worker-Allowed", nil},
		{"narrow worker", "/static/js/sw.js", "Service-Worker-Allowed: /static/\r\n", nil, "Service-Worker-Allowed", []string{"/static/"}},
		{"another place for all of the host", "/x", "Alt-Svc: h3=\"evil.test:443\"\r\n", nil, "Alt-Svc", nil},
		{"reports of all of the host", "/x", "NEL: {}\r\nReport-To: {}\r\n", nil, "Nel", nil},
		{"where to report", "/x", "Report-To: {}\r\n", nil, "Report-To", nil},
		{"where to report, as browsers have it now", "/x", "Reporting-Endpoints: a=\"https://evil.test/\"\r\n", nil, "Reporting-Endpoints", nil},
		{"a proxy in front is sent elsewhere", "/x", "X-Accel-Redirect: /internal/secret\r\n", nil, "X-Accel-Redirect", nil},
		{"the same in another spelling", "/public/x", "x_accel_redirect: /internal/secret\r\n", nil, "X_accel_redirect", nil},
		{"the administrator's word", "/x", "X-Accel-Buffering: yes\r\n", func(c *RouteConfig) {
			c.ResponseHeaders = HeaderConfig{Set: map[string]string{"X-Accel-Buffering": "no"}}
		}, "X-Accel-Buffering", []string{"no"}},
		{"hop-by-hop", "/x", "Keep-Alive: 5\r\nConnection: X-Gone\r\nX-Gone: 1\r\n", nil, "X-Gone", nil},
		{"type is not guessed", "/x", "", nil, "Content-Type", nil},
		{"server", "/x", "Server: upstream/1\r\n", nil, "Server", []string{"upstream/1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			engines(t, func(t *testing.T, s setting) {
				t.Helper()
				header := answered(t, s, tt.change, tt.path, tt.head)
				if got := header[tt.header]; !slices.Equal(got, tt.want) {
					t.Errorf("%s %q, want %q", tt.header, got, tt.want)
				}
				if id := header["X-Request-Id"]; len(id) != 1 || id[0] == "theirs" {
					t.Errorf("X-Request-Id %q, want ours alone", id)
				}
			})
		})
	}
}

// The upstream's failures have a page, which does not say where it is.
func TestUpstreamFailures(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		gone := record(t, "")
		_ = gone.Close()
		for name, tt := range map[string]struct {
			answer, status, kind string
		}{
			"cut":         {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "502", "aborted"},
			"nothing":     {"", "502", "aborted"},
			"not HTTP":    {"220 mail.example.test ESMTP\r\n\r\n", "502", "protocol"},
			"not there":   {"-", "502", "connect"},
			"100 and out": {"HTTP/1.1 103 Early Hints\r\n\r\n", "502", "aborted"},
		} {
			t.Run(name, func(t *testing.T) {
				up := gone
				if tt.answer != "-" {
					up = record(t, tt.answer)
				}
				h := open(t, s, fixture(up.url()))
				res, body, err := h.exchange(t, "GET /x HTTP/1.1\r\nHost: "+host+"\r\nAccept: text/html\r\n"+aliceLine+"\r\n")
				if err != nil || res.StatusCode != http.StatusBadGateway {
					t.Fatalf("answer %v, %v, want %s", res, err, tt.status)
				}
				if strings.Contains(body, "127.0.0.1") || !strings.Contains(res.Header.Get("Content-Type"), "text/html") {
					t.Errorf("page %q", body)
				}
				until(t, "kind "+tt.kind+" in the log", func() bool { return strings.Contains(h.log.String(), tt.kind+": ") })
			})
		}
	})
}
