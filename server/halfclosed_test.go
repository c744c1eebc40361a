package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
)

func briefly(d *door) {
	d.times.probe, d.times.again, d.times.silence, d.times.look = 50*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond, 5*time.Millisecond
}

// halves are a request, what the visitor does to his side of the connection
// after it, and what becomes of it.
type halves struct {
	request string
	leave   func(c net.Conn)
	left    bool // the handler is told that the visitor has left
}

func halfClose(c net.Conn) { _ = c.(interface{ CloseWrite() error }).CloseWrite() }
func leave(c net.Conn)     { _ = c.Close() }

// Whoever has said all he wants to say may wait for the answer; whoever has
// left is noticed while the application thinks.
func TestAHalfClosedVisitorIsAnswered(t *testing.T) {
	const get, post = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello"
	tests := map[string]halves{
		"half-closed":             {get, halfClose, false},
		"half-closed with a body": {post, halfClose, false},
		"half-closed, HTTP/1.0":   {"GET / HTTP/1.0\r\n\r\n", halfClose, false},
		"left":                    {get, leave, true},
		"left with a body":        {post, leave, true},
	}
	for name, tt := range tests {
		for _, secure := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " over TLS"}[secure], func(t *testing.T) {
				t.Parallel()
				tt.play(t, open(t, secure, new(config.Config), tt.handler(t), briefly))
			})
		}
	}
}

// handler thinks for longer than it takes to look for a visitor several times.
func (tt *halves) handler(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		thinking := 300 * time.Millisecond
		if tt.left {
			thinking = 10 * time.Second
		}
		select {
		case <-r.Context().Done():
			if !tt.left {
				t.Error("the visitor counts as gone")
			}
		case <-time.After(thinking):
			if tt.left {
				t.Error("nobody noticed that the visitor has left")
			}
		}
		_, _ = io.WriteString(w, "the answer")
	}
}

func (tt *halves) play(t *testing.T, f *front) {
	t.Helper()
	c := f.dial(t, "http/1.1")
	_, _ = io.WriteString(c, tt.request)
	tt.leave(c)
	if tt.left {
		within(t, func() bool { return f.door.count() == 0 })
		return
	}
	br := bufio.NewReader(c)
	a, err := http.ReadResponse(br, nil)
	for err == nil && a.StatusCode == http.StatusContinue {
		a, err = http.ReadResponse(br, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(a.Body)
	_ = a.Body.Close()
	if string(b) != "the answer" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// count is how many connections there are.
func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inside
}

func within(t *testing.T, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to that in time")
		}
	}
}

// An answer that has begun goes on for as long as something is sent, and no
// interim answer gets into it.
func TestAHalfClosedVisitorInTheMiddleOfAnAnswer(t *testing.T) {
	t.Parallel()
	const parts = 60 // which take longer than the silence after which a visitor counts as gone
	f := open(t, false, new(config.Config), func(w http.ResponseWriter, r *http.Request) {
		for range parts {
			_, _ = io.WriteString(w, "part ")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				t.Error("the visitor counts as gone")
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}, func(d *door) {
		briefly(d)
		d.times.silence = time.Second // far more than a busy machine lets one part wait
	})
	c := f.dial(t)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
	halfClose(c)
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(a.Body)
	_ = a.Body.Close()
	if string(b) != strings.Repeat("part ", parts) || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// In a silent stream nothing shows whether he is there; he counts as gone then.
func TestASilentStreamEndsWithItsVisitor(t *testing.T) {
	f := open(t, false, new(config.Config), func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, briefly)
	c := f.dial(t)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	leave(c)
	within(t, func() bool { return f.door.count() == 0 })
}

// After a half-close the connection has no further request, and ends.
func TestAHalfClosedConnectionEnds(t *testing.T) {
	f := open(t, false, new(config.Config), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, briefly)
	c := f.dial(t)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	halfClose(c)
	if b, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(b), "ok") || strings.Count(string(b), "HTTP/1.1") != 1 {
		t.Errorf("%q, %v", b, err)
	}
}

// A head that ends in the middle is no request, whoever is there.
func TestAHalfClosedHead(t *testing.T) {
	f := open(t, false, new(config.Config), func(http.ResponseWriter, *http.Request) { t.Error("a request was read") }, nil)
	c := f.dial(t)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: exa")
	halfClose(c)
	if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 400 ") {
		t.Errorf("%q, %v", b, err)
	}
}

// A unix socket says by itself who has left.
func TestWhoHasHungUp(t *testing.T) {
	tests := []struct {
		network, addr string
		do            func(net.Conn)
		want          bool
	}{
		{"tcp", "127.0.0.1:0", func(net.Conn) {}, false},
		{"tcp", "127.0.0.1:0", halfClose, false},
		{"tcp", "127.0.0.1:0", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); leave(c) }, true},
		{"unix", filepath.Join(t.TempDir(), "s"), halfClose, false},
		{"unix", filepath.Join(t.TempDir(), "s"), leave, true},
	}
	for _, tt := range tests {
		ln, err := new(net.ListenConfig).Listen(t.Context(), tt.network, tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := new(net.Dialer).DialContext(t.Context(), tt.network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		tt.do(ours)
		if tt.want {
			within(t, func() bool { return hungUp(theirs) })
		} else if hungUp(theirs) {
			t.Errorf("%s: gone", tt.network)
		}
		_, _, _ = ours.Close(), theirs.Close(), ln.Close()
	}
	if a, b := net.Pipe(); !hungUp(a) {
		_ = b.Close()
		t.Error("a connection without a socket is there for ever")
	}
}
