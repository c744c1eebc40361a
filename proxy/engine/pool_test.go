package engine

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestReuse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, answer string
		conns        int32 // that three requests need
	}{
		{"length", ok, 1},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", 1},
		{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 3},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 3},
		{"bytes after the end", ok + "HTTP/1.1 200 OK\r\nX-Poison: 1\r\nContent-Length: 4\r\n\r\nevil", 3},
		{"a body where none may be", "HTTP/1.1 204 x\r\nContent-Length: 4\r\n\r\nevil", 3},
		{"bytes after the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nX", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := says(t, tt.answer)
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			for range 3 {
				if got := exchangeRaw(t, g, get); strings.Contains(got, "evil") || strings.Contains(got, "502") {
					t.Errorf("the visitor got %q", got)
				}
			}
			if n := up.conns.Load(); n != tt.conns {
				t.Errorf("%d connections, want %d", n, tt.conns)
			}
		})
	}
}

// An upstream sends an answer nobody asked for on an idle connection, in the
// hope that the next visitor gets it.
func TestUnaskedAnswerReachesNobody(t *testing.T) {
	poison := make(chan struct{})
	sent := make(chan struct{})
	up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, n int) {
		readHead(br)
		say(c, ok)
		if n == 1 {
			<-poison
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			close(sent)
		}
		readHead(br)
	})
	g := front(t, HTTP1Options{Address: up.addr}, nil)
	exchangeRaw(t, g, get)
	close(poison)
	<-sent
	within(t, "the bytes to arrive", func() bool { return !g.idle()[0].quiet() })
	if got := exchangeRaw(t, g, get); !strings.HasSuffix(got, "ok") {
		t.Errorf("the visitor got %q", got)
	}
	if n := up.conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestDeadIdleConnectionIsNoticed(t *testing.T) {
	closed := make(chan struct{}, 3)
	up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		readHead(br)
		say(c, ok)
		shut(c)
		closed <- struct{}{}
	})
	g := front(t, HTTP1Options{Address: up.addr}, nil)
	for range 3 {
		// POST: must work although it would not be sent twice.
		if got := exchangeRaw(t, g, strings.Replace(get, "GET", "POST", 1)); !strings.HasSuffix(got, "ok") {
			t.Errorf("the visitor got %q", got)
		}
		<-closed
		within(t, "the end to arrive", func() bool { return len(g.idle()) == 0 || !g.idle()[0].quiet() })
	}
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, request string
		conns         int32
		want          string
	}{
		{"GET is sent again", get, 2, "ok"},
		{"DELETE is sent again", strings.Replace(get, "GET", "DELETE", 1), 2, "ok"},
		{"POST is not", strings.Replace(get, "GET", "POST", 1), 1, "502"},
		{"an unknown method is not", strings.Replace(get, "GET", "BREW", 1), 1, "502"},
		{"PUT with a small body is", "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 2, "ok"},
		{"POST with a small body is not", "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 1, "502"},
		{"PUT with a chunked body is not", "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 1, "502"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, n int) {
				readHead(br)
				say(c, ok)
				if readHead(br) != "" && n > 1 {
					say(c, ok)
				} // the first one closes when the second request has come: too late to be noticed
			})
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			exchangeRaw(t, g, get)
			if got := exchangeRaw(t, g, tt.request); !strings.Contains(got, tt.want) {
				t.Errorf("the visitor got %q", got)
			}
			if n := up.conns.Load(); n != tt.conns {
				t.Errorf("%d connections, want %d", n, tt.conns)
			}
		})
	}
	t.Run("an answer that has begun is not asked for again", func(t *testing.T) {
		up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
			readHead(br)
			say(c, ok)
			readHead(br)
			say(c, "H")
		})
		g := front(t, HTTP1Options{Address: up.addr}, nil)
		exchangeRaw(t, g, get)
		if got := exchangeRaw(t, g, get); !strings.Contains(got, "X-Kind: aborted") {
			t.Errorf("the visitor got %q", got)
		}
		if n := up.conns.Load(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// A request that cannot be sent again does not meet a connection that the
// upstream may be about to close: it gets one that was used a moment ago, or a
// new one.
func TestWhatCannotBeRepeatedGetsAFreshConnection(t *testing.T) {
	t.Parallel()
	up := says(t, ok)
	g := front(t, HTTP1Options{Address: up.addr}, nil)
	if fresh := NewHTTP1(HTTP1Options{}).pool.fresh; fresh != freshTime {
		t.Errorf("a connection is fresh for %s", fresh)
	}
	const fresh = 500 * time.Millisecond
	g.up.pool.fresh = fresh
	for _, step := range []struct {
		method string
		after  time.Duration
		conns  int32
	}{
		{"GET", 0, 1},
		{"GET", fresh + 50*time.Millisecond, 1},
		{"POST", 0, 1},
		{"POST", fresh + 50*time.Millisecond, 2},
		{"GET", 0, 2},
	} {
		<-time.After(step.after)
		exchangeRaw(t, g, strings.Replace(get, "GET", step.method, 1))
		if n := up.conns.Load(); n != step.conns {
			t.Errorf("%s after %v: %d connections, want %d", step.method, step.after, n, step.conns)
		}
	}
	if n := len(g.idle()); n != 1 {
		t.Errorf("%d connections are idle, want 1", n)
	}
}

func TestPoolIsBoundedInNumberAndAge(t *testing.T) {
	t.Parallel()
	up := upstream(t, func(_ *net.TCPConn, br *bufio.Reader, _ int) { readHead(br) })
	dial := func() *conn {
		nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", up.addr)
		if err != nil {
			t.Fatal(err)
		}
		c, err := newConn(nc)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	p := &pool{max: 2, age: 500 * time.Millisecond}
	defer p.close()
	a, b, c := dial(), dial(), dial()
	p.put(a)
	p.put(b)
	p.put(c)
	if c.quiet() {
		t.Error("the third connection is still open")
	}
	if got := p.take(t.Context(), false); got != b {
		t.Error("not the last one put was taken")
	}
	p.put(b)
	within(t, "old connections to be closed", func() bool { return !a.quiet() && !b.quiet() })
	if p.take(t.Context(), false) != nil {
		t.Error("an old connection is left")
	}
	p.close()
	d := dial()
	p.put(d)
	if p.take(t.Context(), false) != nil || d.quiet() {
		t.Error("a closed pool keeps connections")
	}
}
