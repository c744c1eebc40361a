package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hears is an upstream that tells when its connection has ended.
func hears(t *testing.T, answer string) (*rawUpstream, <-chan struct{}) {
	t.Helper()
	ended := make(chan struct{}, 10)
	return upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		readHead(br)
		say(c, answer)
		_, _ = io.Copy(io.Discard, br)
		ended <- struct{}{}
	}), ended
}

// When the visitor leaves, the upstream is told at once, whatever it is doing.
func TestVisitorLeaves(t *testing.T) {
	tests := []struct{ name, request, answer, waitFor string }{
		{"while the upstream is silent", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", ""},
		{"in an event stream", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n", "data: 1"},
		{"in a chunked answer", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "abc"},
		{"in an answer of known length", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc", "abc"},
		{"in its own body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc", "HTTP/1.1 102 x\r\n\r\n", "102"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up, ended := hears(t, tt.answer)
			g := front(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Connect: time.Second}}, nil)
			c, br := ask(t, g, tt.request)
			seen := ""
			for !strings.Contains(seen, tt.waitFor) {
				b, err := br.ReadByte()
				if err != nil {
					t.Fatalf("%v after %q", err, seen)
				}
				seen += string(b)
			}
			within(t, "the upstream to be asked", func() bool { return up.conns.Load() > 0 })
			shut(c)
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				t.Fatal("the upstream was not told")
			}
			if err := <-g.errs; kind(err) != VisitorFault && err.Error() != "aborted" {
				t.Errorf("got %v", err)
			}
			if len(g.idle()) > 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

// A visitor who does not send the body that is waited for is cut off.
func TestVisitorStallsSending(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"small body":   "Content-Length: 10\r\n\r\nabc",
		"large body":   "Content-Length: 100000\r\n\r\nabc",
		"chunked body": "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	}
	for name, rest := range tests {
		t.Run(name, func(t *testing.T) {
			up, _ := hears(t, "")
			g := front(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Stall: 200 * time.Millisecond}}, nil)
			c, _ := ask(t, g, "POST / HTTP/1.1\r\nHost: a\r\n"+rest)
			defer shut(c)
			if err := <-g.errs; kind(err) != VisitorFault {
				t.Errorf("got %v, want kind %s", err, VisitorFault)
			}
		})
	}
}

// One who sends slowly, but sends, is not.
func TestSlowVisitorIsNotCutOff(t *testing.T) {
	t.Parallel()
	up, got := takes(t, 40000)
	g := front(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Stall: time.Second, Response: time.Second}}, nil)
	c, br := ask(t, g, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\nConnection: close\r\n\r\n")
	tick := time.NewTicker(120 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		<-tick.C
		_, _ = io.CopyN(c, zeros{}, 4000)
	}
	if b, _ := io.ReadAll(br); !strings.HasSuffix(string(b), "ok") {
		t.Errorf("got %q", b)
	}
	<-got
}

// A visitor who does not take what is offered is cut off; the upstream's
// silence is not held against him.
func TestVisitorStallsTaking(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"known length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1<<30),
		"unknown":      "HTTP/1.1 200 OK\r\n\r\n",
	}
	for name, head := range tests {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				readHead(br)
				say(c, head)
				_, _ = io.CopyN(c, zeros{}, 1<<30)
				close(ended)
			})
			g := front(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Stall: 200 * time.Millisecond}}, nil)
			c, _ := ask(t, g, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			defer shut(c)
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Fatal("the upstream still sends")
			}
			if err := <-g.errs; err == nil || err.Error() != "aborted" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSilentUpstreamInAnAnswer(t *testing.T) {
	tests := map[string][2]string{
		"event stream": {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n", "data: 2\n\n"},
		"chunked":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "1\r\nb\r\n0\r\n\r\n"},
		"large":        {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 50000), strings.Repeat("b", 50000)},
		"small":        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", "b"},
	}
	for name, parts := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				readHead(br)
				say(c, parts[0])
				<-time.After(1500 * time.Millisecond) // longer than any timeout
				say(c, parts[1])
			})
			limit := time.Second
			g := front(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Response: limit, Stall: limit}}, nil)
			body := fetch(t, g.URL)
			b, err := io.ReadAll(body)
			if err != nil || len(b) < 2 {
				t.Errorf("got %.50q, %v", b, err)
			}
		})
	}
}

// Deadlines of one request must not end the next on the same connection,
// neither ours nor one of another handler.
func TestDeadlinesDoNotOutliveTheirRequest(t *testing.T) {
	const limit = 500 * time.Millisecond
	t.Parallel()
	up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		for {
			head := readHead(br)
			if head == "" {
				return
			}
			if strings.HasPrefix(head, "POST") {
				_, _ = io.CopyN(io.Discard, br, 40000)
			}
			if strings.Contains(head, "/slow") {
				<-time.After(limit + 100*time.Millisecond)
			}
			say(c, ok)
		}
	})
	g := front(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Stall: limit, Response: 3 * limit}}, nil)
	c, br := ask(t, g, "")
	send := []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n" + strings.Repeat("x", 40000),
		"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n" + strings.Repeat("x", 40000),
	}
	for i, s := range send {
		if i > 0 {
			<-time.After(3*limit + 50*time.Millisecond)
		}
		say(c, s)
		if h := readHead(br); !strings.HasPrefix(h, "HTTP/1.1 200") {
			t.Fatalf("got %q to %.20q", h, s)
		}
		_, _ = io.ReadFull(br, make([]byte, 2))
	}
	if n := up.conns.Load(); n != 1 {
		t.Errorf("%d connections to the upstream, want 1", n)
	}
}

// Bytes of an answer of unknown length must not wait for the next ones.
func TestStreamsAreFlushed(t *testing.T) {
	tests := map[string]func(i int) string{
		"HTTP/1.1 200 OK\r\n\r\n":                                                               func(i int) string { return strconv.Itoa(i) },
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n":                                 func(i int) string { return fmt.Sprintf("1\r\n%d\r\n", i) },
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 5\r\n\r\n":       func(i int) string { return strconv.Itoa(i) },
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n": func(i int) string { return fmt.Sprintf("1\r\n%d\r\n", i) },
	}
	for head, part := range tests {
		t.Run(head, func(t *testing.T) {
			next := make(chan struct{})
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				readHead(br)
				say(c, head)
				for i := range 5 {
					<-next
					say(c, part(i))
				}
				say(c, "0\r\n\r\n")
			})
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			body := fetch(t, g.URL) // returns before the first byte of the body was sent
			b := make([]byte, 1)
			for i := range 5 {
				next <- struct{}{}
				if _, err := io.ReadFull(body, b); err != nil || string(b) != strconv.Itoa(i) {
					t.Fatalf("got %q, %v", b, err)
				}
			}
		})
	}
}

// The watch over the visitor's departure may strike when the answer is
// complete already: its deadline must not be found by the next request.
func TestLateCutDropsTheConnection(t *testing.T) {
	up := says(t, ok)
	var g *gate
	g = unstarted(t, HTTP1Options{Address: up.addr}, func(r *Request) {
		ctx, cancel := context.WithCancel(r.In.Context())
		r.In = r.In.WithContext(ctx)
		r.Answer = func(int, http.Header) error {
			within(t, "the visitor to be watched", func() bool {
				g.up.leaving.mu.Lock()
				defer g.up.leaving.mu.Unlock()
				return g.up.leaving.newest == nil
			})
			cancel()
			return nil
		}
	})
	g.Start()
	for range 3 {
		if got := exchangeRaw(t, g, get); !strings.HasSuffix(got, "ok") {
			t.Errorf("got %q", got)
		}
	}
	if n := up.conns.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// A visitor who leaves when the answer is there, and was never watched, does
// not harm the connection.
func TestDepartureThatNobodySaw(t *testing.T) {
	up := says(t, ok)
	g := front(t, HTTP1Options{Address: up.addr}, func(r *Request) {
		ctx, cancel := context.WithCancel(r.In.Context())
		r.In = r.In.WithContext(ctx)
		r.Answer = func(int, http.Header) error { cancel(); return nil }
	})
	for range 3 {
		if got := exchangeRaw(t, g, get); !strings.HasSuffix(got, "ok") {
			t.Errorf("got %q", got)
		}
	}
}

// Exchanges that are on the list for longer than watchDelay are watched, and none is cut
// that was forgotten.
func TestDisconnectWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disconnectWatcher
		ctx, leave := context.WithCancel(t.Context())
		made := make([]*conn, 4)
		var cut [4]bool
		for i := range made {
			made[i] = &conn{cutFunc: func() { cut[i] = true }}
			d.watch(ctx, made[i])
		}
		if !d.forget(made[1]) || !d.forget(made[3]) {
			t.Error("somebody was cut who was young")
		}
		time.Sleep(3 * watchDelay) // in the bubble
		synctest.Wait()
		if d.newest != nil || d.awake {
			t.Error("they are on the list still, or looked for in vain")
		}
		if !d.forget(made[0]) {
			t.Error("the watch could not be ended in time")
		}
		leave()
		synctest.Wait()
		if want := [4]bool{2: true}; cut != want {
			t.Errorf("cut %v, want %v", cut, want)
		}
		if d.forget(made[2]) {
			t.Error("forget does not tell that it is too late")
		}
	})
}
