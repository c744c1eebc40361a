package web_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/web"
)

// send opens a connection, sends a head, and then what more says.
func send(t *testing.T, addr, head string, more func(c net.Conn)) (answer *http.Response, took time.Duration) {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	begin := time.Now()
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	more(c)
	answer, err = http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	_ = answer.Body.Close()
	return answer, time.Since(begin)
}

// A browser that sends a large form sees the answer, not an error of the
// connection, although nobody wants the form.
func TestALargeBodyThatNobodyWants(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer web.Linger(w, r, 300*time.Millisecond)()
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	}))
	t.Cleanup(s.Close)
	addr := s.Listener.Addr().String()
	body := func(n int) func(net.Conn) {
		return func(c net.Conn) {
			for range n {
				if _, err := c.Write(bytes.Repeat([]byte("a"), 1<<20)); err != nil {
					t.Errorf("the form was not taken: %v", err)
					return
				}
			}
		}
	}
	tests := []struct {
		name, head string
		more       func(net.Conn)
		closes     bool
	}{
		{"8 MiB", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n", body(8), true},
		{"8 MiB in chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n", func(c net.Conn) {
			for range 8 {
				_, _ = io.WriteString(c, "100000\r\n"+strings.Repeat("a", 1<<20)+"\r\n")
			}
			_, _ = io.WriteString(c, "0\r\n\r\n")
		}, true},
		{"small", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n", func(c net.Conn) { _, _ = io.WriteString(c, "a=b") }, false},
		{"one that stalls", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n", func(net.Conn) {}, true},
		{"one that waits to be asked for", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 8388608\r\n", func(net.Conn) {}, true},
		{"none", "GET / HTTP/1.1\r\nHost: a\r\n", func(net.Conn) {}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, took := send(t, addr, tt.head, tt.more) //nolint:bodyclose // send has closed it
			if a.StatusCode != http.StatusSeeOther || a.Close != tt.closes || took > 10*time.Second {
				t.Errorf("%d after %s, closes %t", a.StatusCode, took, a.Close)
			}
		})
	}
}

// One who sends slowly but steadily has the answer at once, and is not waited
// for without end.
func TestASlowBodyThatNobodyWants(t *testing.T) {
	done := make(chan time.Duration, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		after := web.Linger(w, r, 300*time.Millisecond)
		w.WriteHeader(http.StatusForbidden)
		after()
		done <- time.Since(begin)
	}))
	t.Cleanup(s.Close)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	a, took := send(t, s.Listener.Addr().String(), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n", func(c net.Conn) { //nolint:bodyclose // send has closed it
		go func() {
			for {
				if _, err := io.WriteString(c, "a"); err != nil {
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
	})
	if a.StatusCode != http.StatusForbidden || !a.Close {
		t.Errorf("%d after %s, closes %t", a.StatusCode, took, a.Close)
	}
	if held := <-done; held < 300*time.Millisecond || held > 5*time.Second {
		t.Errorf("the connection was held for %s", held)
	}
}
