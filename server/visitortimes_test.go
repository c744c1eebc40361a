package server

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/config"
)

// pipes is a listener that accepts what the test puts into it, so that a
// visitor's connection lives in fake time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// closedAfter returns after what time the visitors' server closes a connection that
// does what f does and then sends nothing more.
func closedAfter(t *testing.T, f func(c net.Conn)) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &Server{options: Options{Config: new(config.Config)}, log: slog.New(slog.DiscardHandler)}
		s.site.Store(&site{handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })})
		ln := make(pipes)
		hs, _ := s.visitors(context.Background())
		go func() { _ = hs.Serve(ln) }()
		ours, theirs := net.Pipe()
		ln <- theirs
		f(ours)
		begin := time.Now()
		_, _ = io.Copy(io.Discard, ours)
		took = time.Since(begin)
		close(ln)
		_ = hs.Close()
	})
	return took
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	took := closedAfter(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", a, err)
		}
		_, _ = io.Copy(io.Discard, a.Body)
		_ = a.Body.Close()
	})
	if took != 120*time.Second {
		t.Errorf("closed after %s, want 2 minutes", took)
	}
}

// Slowloris: a head that never ends holds nothing for long.
func TestASlowHeadIsNotWaitedFor(t *testing.T) {
	for _, head := range []string{"", "G", "GET / HTTP/1.1\r\nHost: example.com\r\nX-A: b\r\n"} {
		took := closedAfter(t, func(c net.Conn) { _, _ = io.WriteString(c, head) })
		if took < 10*time.Second || took > 11*time.Second {
			t.Errorf("%q: closed after %s, want 10 seconds", head, took)
		}
	}
}
