package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"gatehouse/internal/value"
)

// buffering is a route for an application that needs a Content-Length.
func buffering(upstream string, limit value.Size) RouteConfig {
	c := fixture(upstream)
	c.BufferBody = limit
	return c
}

// chunked writes a body in chunks of n bytes.
func chunked(body string, n int, trailers ...string) string {
	var b strings.Builder
	for len(body) > 0 {
		n = min(n, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n" + strings.Join(trailers, "") + "\r\n"
}

const chunkedHead = "POST /public/x HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n"

// An upstream gets one request with a length and the bytes, whatever the
// chunks were; a body with a length is none of our business.
func TestBufferBody(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		up := record(t, okAnswer)
		h := open(t, s, buffering(up.url(), 100_000))
		for _, size := range []int{0, 1, 4095, 4096, 4097, 20_000, 99_999, 100_000} {
			body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			for _, piece := range []int{7000, 100_000} {
				up.forget()
				if answer := h.raw(t, chunkedHead+"Connection: close\r\nTrailer: X-Sum\r\n\r\n"+chunked(body, piece, "X-Sum: 1\r\n")); status(answer) != "200" {
					t.Fatalf("%d bytes: %s", size, answer)
				}
				request := up.one(t)
				head, got, _ := strings.Cut(request, "\r\n\r\n")
				if got != body {
					t.Errorf("%d bytes in chunks of %d: upstream saw %d bytes", size, piece, len(got))
				}
				if want := fmt.Sprintf("\r\nContent-Length: %d", size); strings.Count(head, want) != 1 || strings.Contains(head, "chunked") || strings.Contains(head, "Trailer") {
					t.Errorf("%d bytes: head %q", size, head)
				}
			}
		}
		up.forget()
		long := strings.Repeat("x", 150_000)
		if answer := h.raw(t, "POST /public/x HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\nContent-Length: 150000\r\n\r\n"+long); status(answer) != "200" || !strings.HasSuffix(up.one(t), long) {
			t.Errorf("with a length: %s", answer)
		}
		up.forget()
		h.raw(t, "GET /public/x HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		if request := up.one(t); strings.Contains(request, "Content-Length") {
			t.Errorf("without a body: %q", request)
		}
	})
}

// Over HTTP/2 there is no length either unless the visitor says so.
func TestBufferBodyHTTP2(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{https: true}, buffering(up.url(), 1000))
	for _, size := range []int{1000, 1001} {
		up.forget()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+host+"/public/x", iotest.OneByteReader(strings.NewReader(strings.Repeat("x", size))))
		if err != nil {
			t.Fatal(err)
		}
		res, err := h.client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		switch {
		case res.ProtoMajor != 2:
			t.Errorf("HTTP/%d", res.ProtoMajor)
		case size > 1000:
			if res.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%d bytes: status %d", size, res.StatusCode)
			}
			up.empty(t)
		default:
			if request := up.one(t); res.StatusCode != http.StatusOK || !strings.Contains(request, "\r\nContent-Length: 1000\r\n") {
				t.Errorf("%d bytes: status %d, upstream saw %q", size, res.StatusCode, request)
			}
		}
	}
}

// Half a body must not look whole: what is too long reaches nobody.
func TestBufferBodyTooLong(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		up := record(t, okAnswer)
		for _, limits := range [][2]value.Size{{1024, 0}, {1024, 4096}, {4096, 1024}} {
			c := buffering(up.url(), limits[0])
			c.MaxBody = limits[1]
			h := open(t, s, c)
			for _, body := range []string{
				chunked(strings.Repeat("x", 1025), 2000),
				chunked(strings.Repeat("x", 1025), 1024),
				chunked(strings.Repeat("x", 1025), 1),
				"1000000\r\n" + strings.Repeat("x", 100_000), // and no end
			} {
				answer := h.raw(t, chunkedHead+"Connection: keep-alive\r\n\r\n"+body)
				if status(answer) != "413" || !strings.Contains(answer, "Without a Content-Length, no more than 1KiB can be sent here.") {
					t.Errorf("limits %v: %s", limits, answer)
				}
			}
			if log := h.log.String(); !strings.Contains(log, "body without Content-Length is over buffer_body") {
				t.Errorf("the log does not say why: %s", log)
			}
		}
		up.empty(t)
	})
}

// The visitor who waits for 100 Continue gets it from us; the upstream is not
// asked a second time.
func TestBufferBodyAsksForIt(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		up := record(t, okAnswer)
		h := open(t, s, buffering(up.url(), 1024))
		c := h.dial(t)
		in := bufio.NewReader(c)
		_, _ = io.WriteString(c, chunkedHead+"Expect: 100-continue\r\n\r\n")
		if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		up.empty(t)
		_, _ = in.ReadString('\n')
		_, _ = io.WriteString(c, chunked("hello", 3))
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if request := up.one(t); res.StatusCode != http.StatusOK || strings.Contains(request, "Expect") || !strings.HasSuffix(request, "\r\n\r\nhello") {
			t.Errorf("status %d, upstream saw %q", res.StatusCode, request)
		}
	})
}

// A visitor who stalls is cut off, one who sends a broken body is refused, and
// one who leaves is noted; the upstream hears of none.
func TestBufferBodyThatNeverEnds(t *testing.T) {
	up := record(t, okAnswer)
	c := buffering(up.url(), 1<<20)
	c.Timeouts.Stall = value.Duration(100 * time.Millisecond)
	h := open(t, setting{}, c)
	if answer := h.raw(t, chunkedHead+"\r\n3\r\nabc\r\n"); status(answer) != "408" {
		t.Errorf("stalls: %s", answer)
	}
	if answer := h.raw(t, chunkedHead+"\r\n3\r\nabc\r\nzz\r\n"); status(answer) != "400" {
		t.Errorf("broken: %s", answer)
	}
	conn := h.dial(t)
	_, _ = io.WriteString(conn, chunkedHead+"\r\n3\r\nabc\r\n")
	_ = conn.(*net.TCPConn).CloseWrite()
	if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("ends early: %d", res.StatusCode)
		}
	}
	up.empty(t)
}

// Slow is not stalled: time counts from the last byte. And once the body is
// there, the upstream may think for longer than a visitor may stall.
func TestBufferBodySlowly(t *testing.T) {
	const stall = 2 * time.Second
	t.Parallel()
	engines(t, func(t *testing.T, s setting) {
		t.Parallel()
		for _, size := range []int{10, 40_000} { // the engine reads a small body otherwise than a large one
			t.Run(strconv.Itoa(size), func(t *testing.T) {
				t.Parallel()
				up := slowUpstream(t, stall+100*time.Millisecond)
				c := buffering("http://"+up, 1<<20)
				c.Timeouts.Stall = value.Duration(stall)
				h := open(t, s, c)
				conn := h.dial(t)
				_, _ = io.WriteString(conn, chunkedHead+"Connection: close\r\n\r\n")
				tick := time.NewTicker(stall / 10)
				for range 12 {
					_, _ = io.WriteString(conn, "1\r\na\r\n")
					<-tick.C
				}
				tick.Stop()
				_, _ = io.WriteString(conn, chunked(strings.Repeat("b", size), size))
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if want := fmt.Sprintf("%d\nend\n", size+12); string(got) != want || err != nil {
					t.Errorf("%d bytes: answer %q, %v; want %q", size, got, err, want)
				}
			})
		}
	})
}

// slowUpstream says how long the body was after a while, and the end after
// another.
func slowUpstream(t *testing.T, pause time.Duration) (addr string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		<-time.After(pause)
		_, _ = fmt.Fprintf(w, "%d\n", len(body))
		_ = http.NewResponseController(w).Flush()
		<-time.After(pause)
		_, _ = io.WriteString(w, "end\n")
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String()
}

// Who is signed out while he sends is cut off.
func TestBufferBodyEndsWithTheSession(t *testing.T) {
	up := record(t, okAnswer)
	live := new(ActiveRequests)
	h := open(t, setting{options: func(o *Options) { o.Live = live }}, buffering(up.url(), 1<<20))
	conn := h.dial(t)
	_, _ = io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	cutAll(t, live)
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 303 ") {
		t.Errorf("answer %q, %v; want that of one who is not signed in", answer, err)
	}
	up.empty(t)
}

// The memory of a body is at most what the route allows, however it comes.
func TestBlocksStayInTheirBounds(t *testing.T) {
	for _, limit := range []int64{1, 100, 4096, 5000, 1 << 20} {
		for _, step := range []int{1 << 20, 4099} {
			b := &chunkBuffer{}
			var want bytes.Buffer
			for b.left < limit {
				space := b.space(limit)
				n := min(step, len(space))
				for i := range n {
					space[i] = "0123456789abcdefg"[(want.Len()+i)%17]
				}
				want.Write(space[:n])
				b.wrote(n)
			}
			held := 0
			for _, block := range b.list {
				held += cap(block)
			}
			if int64(held) > limit || len(b.space(limit)) != 1 {
				t.Errorf("limit %d: %d bytes of memory", limit, held)
			}
			if err := iotest.TestReader(b, want.Bytes()); err != nil {
				t.Errorf("limit %d: %v", limit, err)
			}
		}
	}
}

// A request of a route without buffer_body goes on in chunks, as it came.
func TestNoBuffer(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, fixture(up.url()))
	h.raw(t, chunkedHead+"Connection: close\r\n\r\n"+chunked("hello", 3))
	if request := up.one(t); !strings.Contains(request, "Transfer-Encoding: chunked") || strings.Contains(request, "Content-Length") {
		t.Errorf("upstream saw %q", request)
	}
}
