package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	askSwitch = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" // RFC 6455, 1.3
)

func TestUpgrade(t *testing.T) {
	up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		if h := readHead(br); !strings.Contains(h, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n") {
			t.Errorf("the upstream got %q", h)
		}
		say(c, switching+"early from upstream;") // in one segment
		b, _ := io.ReadAll(br)
		_, _ = c.Write(append([]byte("after the end: "), b...))
	})
	var live, switched atomic.Int32
	change := func(r *Request) {
		r.Switched = func() func() {
			live.Add(1)
			switched.Add(1)
			return func() { live.Add(-1) }
		}
	}
	for _, secure := range []bool{false, true} {
		g := unstarted(t, HTTP1Options{Address: up.addr}, change)
		var c net.Conn
		var err error
		if secure {
			g.StartTLS()
			c, err = (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", g.Listener.Addr().String()) //nolint:gosec // the test's own server
		} else {
			g.Start()
			c, err = new(net.Dialer).DialContext(t.Context(), "tcp", g.Listener.Addr().String())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer shut(c)
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		say(c, askSwitch+"early from visitor")
		br := bufio.NewReader(c)
		h := readHead(br)
		if !strings.HasPrefix(h, "HTTP/1.1 101 Switching Protocols\r\n") || strings.Count(h, "Upgrade: WebSocket\r\n") != 1 || !strings.Contains(h, "Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") {
			t.Errorf("the visitor got %q", h)
		}
		say(c, ", later")
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		b, err := io.ReadAll(br)
		if want := "early from upstream;after the end: early from visitor, later"; string(b) != want || err != nil {
			t.Errorf("got %q, %v, want %q", b, err, want)
		}
		if err := <-g.errs; err != nil {
			t.Error(err)
		}
	}
	if live.Load() != 0 || switched.Load() != 2 {
		t.Errorf("%d live, %d switched", live.Load(), switched.Load())
	}
}

func TestUpgradeRefused(t *testing.T) {
	tests := map[string]struct{ request, answer, kind string }{
		"another protocol":                    {askSwitch, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", Protocol},
		"no protocol":                         {askSwitch, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n", Protocol},
		"two protocols":                       {askSwitch, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n", Protocol},
		"not named in Connection":             {askSwitch, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", Protocol},
		"not asked for":                       {get, switching, Protocol},
		"an accept that does not fit the key": {strings.Replace(askSwitch, "dGhl", "dGhm", 1), switching, Protocol},
		"no accept":                           {askSwitch, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", Protocol},
		"two accepts":                         {askSwitch, strings.Replace(switching, "\r\n\r\n", "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", 1), Protocol},
		"an accept without a key":             {strings.Replace(askSwitch, "Sec-WebSocket-Key", "X-Key", 1), switching, Protocol},
		"before the body's end":               {strings.Replace(askSwitch, "\r\n\r\n", "\r\nContent-Length: 100000\r\n\r\n", 1), switching, Protocol},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			up := says(t, tt.answer)
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			_, br := ask(t, g, tt.request)
			if h := readHead(br); !strings.Contains(h, "502") {
				t.Errorf("the visitor got %q", h)
			}
			if err := <-g.errs; kind(err) != tt.kind {
				t.Errorf("got %v, want kind %s", err, tt.kind)
			}
		})
	}
}

// After anything but 101 the connection is plain HTTP again, on both sides
// (CVE-2024-23326): what follows is a new request.
func TestNoTunnelAfterAnotherAnswer(t *testing.T) {
	up := says(t, "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok")
	g := front(t, HTTP1Options{Address: up.addr}, nil)
	got := exchangeRaw(t, g, askSwitch+get)
	if strings.Count(got, "HTTP/1.1 200 OK") != 2 || strings.Contains(got, "Upgrade") {
		t.Errorf("got %q", got)
	}
	if len(g.errs) != 2 {
		t.Errorf("%d requests, want 2", len(g.errs))
	}
}

// Whoever ends the request's context (a revoked session, say) ends the tunnel
// on both sides, although nothing moves in it.
func TestCancelEndsTunnel(t *testing.T) {
	up, ended := hears(t, switching)
	cancels := make(chan context.CancelFunc, 1)
	g := front(t, HTTP1Options{Address: up.addr}, func(r *Request) {
		ctx, cancel := context.WithCancel(r.In.Context()) //nolint:gosec // G118: the test calls it
		r.In = r.In.WithContext(ctx)
		cancels <- cancel
	})
	_, br := ask(t, g, askSwitch)
	readHead(br)
	cancel := <-cancels
	cancel()
	if _, err := br.ReadByte(); err == nil {
		t.Error("the visitor got a byte")
	}
	<-ended
	g.wait(t)
}

// An idle tunnel has no deadline, whatever the timeouts are.
func TestTunnelMayBeIdle(t *testing.T) {
	t.Parallel()
	up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		readHead(br)
		say(c, switching)
		_, _ = io.Copy(c, br)
	})
	limit := time.Second
	g := front(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Response: limit, Stall: limit}}, nil)
	c, br := ask(t, g, askSwitch)
	readHead(br)
	for range 2 {
		<-time.After(limit + 100*time.Millisecond)
		say(c, "ping")
		b := make([]byte, 4)
		if _, err := io.ReadFull(br, b); err != nil || string(b) != "ping" {
			t.Fatalf("got %q, %v", b, err)
		}
	}
}

// Either side's end is told to the other at once.
func TestTunnelEnds(t *testing.T) {
	t.Run("the upstream closes", func(t *testing.T) {
		up := says(t, switching)
		g := front(t, HTTP1Options{Address: up.addr}, nil)
		c, br := ask(t, g, askSwitch)
		readHead(br)
		say(c, "\r\n\r\n") // ends says' second request, which it answers
		readHead(br)
		shut(c)
		g.wait(t)
	})
	t.Run("the visitor resets", func(t *testing.T) {
		up, ended := hears(t, switching)
		g := front(t, HTTP1Options{Address: up.addr}, nil)
		c, br := ask(t, g, askSwitch)
		readHead(br)
		_ = c.(*net.TCPConn).SetLinger(0)
		shut(c)
		<-ended
		g.wait(t)
	})
}
