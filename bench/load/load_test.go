package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve returns the address of a server.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func answerWith(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body)
	}
}

func TestRunCountsGoodAnswers(t *testing.T) {
	for _, c := range []struct {
		name string
		rate int
	}{{"closed loop", 0}, {"open loop", 500}} {
		t.Run(c.name, func(t *testing.T) {
			var served atomic.Int64
			addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				if r.Header.Get("Cookie") != "a=b" || r.URL.Path != "/x" {
					w.WriteHeader(http.StatusForbidden)
				}
				answerWith(strings.Repeat("x", 100_000))(w, r)
			})
			r, err := Run(t.Context(), Plan{
				Addr: addr, Request: Get(addr, "/x", "Cookie: a=b"), Length: 100_000, Conns: 4, Duration: 100 * time.Millisecond, Rate: c.rate,
			})
			if err != nil || r.Bad != 0 || r.Requests == 0 || int64(r.Requests) != served.Load() {
				t.Fatalf("%d good, %d bad (%v), %d served: %v", r.Requests, r.Bad, r.Err, served.Load(), err)
			}
			if c.rate > 0 && r.Requests != 50 {
				t.Errorf("%d requests in a tenth of a second, want 50", r.Requests)
			}
			if r.Latency.Quantile(0.5) <= 0 || r.PerSecond() <= 0 {
				t.Errorf("p50 %s, %f requests/s", r.Latency.Quantile(0.5), r.PerSecond())
			}
		})
	}
}

func TestRunCountsBadAnswers(t *testing.T) {
	for _, c := range []struct {
		name, want string
		h          http.HandlerFunc
	}{
		{"wrong status", "status 403", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusForbidden)
		}},
		{"wrong length", "with 3 bytes", answerWith("abc")},
		{"connection not kept", "should be kept", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			answerWith("good")(w, r)
		}},
		{"chunked", "without Content-Length", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "go")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "od")
		}},
		{"cut off", "read the body", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "4")
			_, _ = io.WriteString(w, "go")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := serve(t, c.h)
			r, err := Run(t.Context(), Plan{Addr: addr, Request: Get(addr, "/"), Length: 4, Conns: 2, Duration: 20 * time.Millisecond})
			if err != nil || r.Requests != 0 || r.Bad == 0 || r.Err == nil || !strings.Contains(r.Err.Error(), c.want) {
				t.Errorf("%d good, %d bad: %v, want %q; %v", r.Requests, r.Bad, r.Err, c.want, err)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	addr := serve(t, answerWith("good"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, Plan{Addr: addr, Request: Get(addr, "/"), Length: 4, Conns: 1, Duration: time.Hour}); err == nil {
		t.Error("no error")
	}
}

// TestOpenLoopSeesAStall: one answer that takes long makes all those late
// that were due meanwhile.
func TestOpenLoopSeesAStall(t *testing.T) {
	var n atomic.Int64
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 10 {
			select { // a stall
			case <-time.After(200 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		answerWith("good")(w, r)
	})
	r, err := Run(t.Context(), Plan{Addr: addr, Request: Get(addr, "/"), Length: 4, Conns: 1, Duration: 300 * time.Millisecond, Rate: 100})
	if err != nil || r.Bad != 0 || r.Requests != 30 {
		t.Fatalf("%d good, %d bad (%v): %v", r.Requests, r.Bad, r.Err, err)
	}
	if p := r.Latency.Quantile(0.60); p < 50*time.Millisecond {
		t.Errorf("60%% of the requests took at most %s: the stall does not show", p)
	}
}

func TestTransfer(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		answerWith(fmt.Sprintf("%10d", n))(w, r)
	})
	const size = 1<<20 + 1
	head := Head("POST", addr, "/", "Content-Length: "+strconv.Itoa(size))
	took, err := Transfer(t.Context(), addr, head, size, 10)
	if err != nil || took <= 0 {
		t.Errorf("upload: %s, %v", took, err)
	}
	if _, err := Transfer(t.Context(), addr, Get(addr, "/"), 0, 11); err == nil {
		t.Error("an answer of another length is no error")
	}
}

func TestIdle(t *testing.T) {
	var open atomic.Int64
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		open.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	conns, err := Idle(t.Context(), addr, Get(addr, "/", "Connection: Upgrade", "Upgrade: websocket"), 100)
	if err != nil || len(conns) != 100 || open.Load() != 100 {
		t.Errorf("%d connections, %d seen: %v", len(conns), open.Load(), err)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	if conns, err := Idle(t.Context(), addr, Get(addr, "/"), 3); err == nil || len(conns) != 0 {
		t.Errorf("refused: %d connections, %v", len(conns), err)
	}
}

func ExampleRun() {
	site := httptest.NewServer(answerWith("hello"))
	defer site.Close()
	addr := site.Listener.Addr().(*net.TCPAddr).String()
	r, err := Run(context.Background(), Plan{
		Addr: addr, Request: Get(addr, "/"), Length: 5, Conns: 2, Duration: 50 * time.Millisecond, Rate: 100,
	})
	fmt.Println(r.Requests, r.Bad, err)
	// Output: 5 0 <nil>
}
