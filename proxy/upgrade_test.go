package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const handshakeLines = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// randomLines are the lines of a request, in lower case, whose values are made
// at random: "h2c" may stand in them.
var randomLines = regexp.MustCompile(`(?m)^(via|x-request-id): .*\r\n`)

// What Upgrade asks for passes only in the one form that is meant.
func TestUpgradeRequests(t *testing.T) {
	up := record(t, okAnswer)
	c := fixture(up.url())
	c.Origins = []string{"https://app.other.test"}
	h := open(t, setting{}, c)
	for _, tt := range []struct {
		name, line, lines string
		status            string
		upgraded          bool
	}{
		{"websocket", "GET /x HTTP/1.1", handshakeLines, "200", true},
		{"on a public path", "GET /public/x HTTP/1.1", handshakeLines, "200", true},
		{"other letter case", "GET /x HTTP/1.1", strings.Replace(handshakeLines, "websocket", "WebSocket", 1), "200", true},
		{"our own origin", "GET /x HTTP/1.1", handshakeLines + "Origin: http://" + host + "\r\n", "200", true},
		{"our own origin in capitals", "GET /x HTTP/1.1", handshakeLines + "Origin: HTTP://APP.example.test\r\n", "200", true},
		{"a listed origin", "GET /x HTTP/1.1", handshakeLines + "Origin: https://app.other.test\r\n", "200", true},
		{"cross-site hijacking", "GET /x HTTP/1.1", handshakeLines + "Origin: https://evil.test\r\n", "403", false},
		{"cross-site, public", "GET /public/x HTTP/1.1", handshakeLines + "Origin: https://evil.test\r\n", "403", false},
		{"other scheme", "GET /x HTTP/1.1", handshakeLines + "Origin: https://" + host + "\r\n", "403", false},
		{"other port", "GET /x HTTP/1.1", handshakeLines + "Origin: http://" + host + ":81\r\n", "403", false},
		{"a front drops the port, the browser knows", "GET /x HTTP/1.1", handshakeLines + "Sec-Fetch-Site: same-origin\r\nOrigin: http://" + host + ":8443\r\n", "200", true},
		{"the browser knows better", "GET /x HTTP/1.1", handshakeLines + "Sec-Fetch-Site: same-site\r\nOrigin: http://" + host + "\r\n", "403", false},
		{"a listed origin, which the browser calls another site", "GET /x HTTP/1.1", handshakeLines + "Sec-Fetch-Site: cross-site\r\nOrigin: https://app.other.test\r\n", "200", true},
		{"no origin's origin", "GET /x HTTP/1.1", handshakeLines + "Origin: null\r\n", "403", false},
		{"two origins", "GET /x HTTP/1.1", handshakeLines + "Origin: http://" + host + "\r\nOrigin: https://evil.test\r\n", "403", false},
		{"origin that begins like ours", "GET /x HTTP/1.1", handshakeLines + "Origin: http://" + host + ".evil.test\r\n", "403", false},
		{"h2c", "GET /x HTTP/1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", "200", false},
		{"list with h2c", "GET /x HTTP/1.1", strings.Replace(handshakeLines, "websocket", "websocket, h2c", 1), "200", false},
		{"two lines", "GET /x HTTP/1.1", handshakeLines + "Upgrade: h2c\r\n", "200", false},
		{"TLS", "GET /x HTTP/1.1", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", "200", false},
		{"unknown", "GET /x HTTP/1.1", "Connection: Upgrade\r\nUpgrade: foo/2\r\n", "200", false},
		{"not nominated", "GET /x HTTP/1.1", strings.Replace(handshakeLines, "Connection: Upgrade", "Connection: close", 1), "200", false},
		{"other version, smuggling", "GET /public/x HTTP/1.1", strings.Replace(handshakeLines, "13", "777", 1), "200", false},
		{"no key", "GET /x HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", "200", false},
		{"POST", "POST /x HTTP/1.1", handshakeLines + "Content-Length: 0\r\n", "200", false},
		{"with a body", "GET /x HTTP/1.1", handshakeLines + "Content-Length: 3\r\n\r\nabc", "200", false},
		{"HTTP/1.0", "GET /x HTTP/1.0", handshakeLines, "200", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up.forget()
			answer := h.raw(t, tt.line+"\r\nHost: "+host+"\r\n"+aliceLine+tt.lines+"\r\n")
			if status(answer) != tt.status {
				t.Errorf("answer %q, want %s", answer, tt.status)
			}
			if tt.status != "200" {
				up.empty(t)
				return
			}
			request := randomLines.ReplaceAllString(strings.ToLower(up.one(t)), "")
			for _, name := range []string{"\r\nupgrade: websocket\r\n", "\r\nconnection: upgrade\r\n", "\r\nsec-websocket-key: "} {
				if strings.Contains(request, name) != tt.upgraded {
					t.Errorf("%q is there: %v, want %v: %q", name, !tt.upgraded, tt.upgraded, request)
				}
			}
			for _, name := range []string{"h2c", "http2-settings", "tls/1.0", "foo/2"} {
				if strings.Contains(request, name) {
					t.Errorf("%s passed: %q", name, request)
				}
			}
		})
	}
	up.forget()
	if answer := h.raw(t, "GET /x HTTP/1.1\r\nHost: "+host+"\r\n"+handshakeLines+"\r\n"); status(answer) != "302" {
		t.Errorf("handshake of nobody: %q", answer)
	}
	if answer := h.raw(t, "GET /admin/x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+handshakeLines+"\r\n"); status(answer) != "403" {
		t.Errorf("handshake of somebody else: %q", answer)
	}
	up.empty(t)
}

// CVE-2024-23326: after any answer but 101 the connection is plain HTTP, and
// the next request on it is judged like any other.
func TestRefusedUpgradeIsNoTunnel(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		up := record(t, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
		h := open(t, s, fixture(up.url()))
		c := h.dial(t)
		if _, err := io.WriteString(c, "GET /public/x HTTP/1.1\r\nHost: "+host+"\r\n"+handshakeLines+"\r\n"+
			"GET /private/second HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		got := string(all)
		if !strings.HasPrefix(got, "HTTP/1.1 426 ") || !strings.Contains(got, "HTTP/1.1 302 ") {
			t.Errorf("answers %q, want 426 and 302", got)
		}
		if strings.Contains(up.one(t), "second") {
			t.Error("the second request went through unseen")
		}
	})
}

// echo is a server that switches to WebSocket and sends back what it gets.
func echo(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, append([]byte(r.Header.Get("X-Forwarded-User")+": "), data...)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestWebSocket(t *testing.T) {
	for _, https := range []bool{false, true} {
		engines(t, func(t *testing.T, s setting) {
			t.Helper()
			s.https = https
			h := open(t, s, fixture(echo(t).URL))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			scheme := "ws://"
			if https {
				scheme = "wss://"
			}
			client := h.client(t)
			client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
			if https {
				client.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
			}
			c, _, err := websocket.Dial(ctx, scheme+host+"/ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Cookie": {ourCookie + "=alice"}}}) //nolint:bodyclose // do sees to it
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.CloseNow() }()
			for _, text := range []string{"one", strings.Repeat("x", 20000)} {
				if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
					t.Fatal(err)
				}
				if _, data, err := c.Read(ctx); err != nil || string(data) != "alice: "+text {
					t.Fatalf("read %.40q, %v", data, err)
				}
			}
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// A tunnel carries what is sent early, and an end of one direction leaves the
// other one open.
func TestTunnel(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer closing(l)
		got := make(chan string, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer closing(c)
			br := bufio.NewReader(c)
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Up: 1\r\n\r\nearly words")
			all, _ := io.ReadAll(br) // to the end of the visitor's direction
			got <- string(all)
			_, _ = io.WriteString(c, ", late words")
		}()
		h := open(t, s, fixture("http://"+l.Addr().String()))
		c := h.dial(t)
		_, _ = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+handshakeLines+"\r\nsent at once")
		br := bufio.NewReader(c)
		res, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet}) //nolint:bodyclose // an upgraded connection has none
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-Up") != "1" || res.Header.Get("X-Request-Id") == "" {
			t.Fatalf("answer %v, %v", res, err)
		}
		_, _ = io.WriteString(c, ", and later")
		_ = c.(*net.TCPConn).CloseWrite()
		if s := <-got; s != "sent at once, and later" {
			t.Errorf("upstream got %q", s)
		}
		rest, err := io.ReadAll(br)
		if err != nil || string(rest) != "early words, late words" {
			t.Errorf("visitor got %q, %v", rest, err)
		}
	})
}
