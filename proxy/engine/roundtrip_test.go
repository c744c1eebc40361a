package engine

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRoundTrip(t *testing.T) {
	const limit = 10
	tests := map[string]struct {
		answer string
		status int // 0: there is no Response
		body   string
		kind   string // of the error; "": there is none
	}{
		"an answer":       {"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", ""},
		"just the limit":  {"HTTP/1.1 404 No\r\nX-A: b\r\nContent-Length: 10\r\n\r\n0123456789", 404, "0123456789", ""},
		"over the limit":  {"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 11\r\n\r\n0123456789x", 200, "0123456789", Truncated},
		"in chunks":       {"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, "hello", ""},
		"interim answers": {"HTTP/1.1 103 Early Hints\r\nX-C: d\r\n\r\nHTTP/1.1 302 Found\r\nX-A: b\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 302, "", ""},
		"broken off":      {"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 9\r\n\r\nhello", 200, "hello", Truncated},
		"no HTTP":         {"SSH-2.0-OpenSSH\r\n", 0, "", Protocol},
		"101":             {"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", 0, "", Protocol},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			asked := make(chan string, 1)
			wires(t, func(t *testing.T, start starter) {
				_, up := start(t, HTTP1Options{}, func(c net.Conn, br *bufio.Reader, _ int) {
					head := readHead(br)
					b := make([]byte, 3)
					_, _ = io.ReadFull(br, b)
					asked <- head + string(b)
					say(c, tt.answer)
				})
				defer up.Close()
				res, err := RoundTrip(t.Context(), up, Request{Method: http.MethodPost, Target: "/x?y", Host: "a", Header: Header{{"X-Own", []string{"1"}}}}, []byte("a=b"), limit)
				if got, want := <-asked, "POST /x?y HTTP/1.1\r\nHost: a\r\nX-Own: 1\r\nContent-Length: 3\r\n\r\na=b"; got != want {
					t.Errorf("asked %q, want %q", got, want)
				}
				if kind(err) != tt.kind {
					t.Errorf("error %v, want kind %q", err, tt.kind)
				}
				if tt.status == 0 {
					if res != nil {
						t.Errorf("a Response: %+v", res)
					}
					return
				}
				if res == nil || res.Status != tt.status || string(res.Body) != tt.body || res.Header.Get("X-A") != "b" || res.Header.Get("X-C") != "" {
					t.Errorf("got %+v", res)
				}
			})
		})
	}
}

// Neither a silent upstream nor one that does not end its answer holds up
// whoever has a deadline.
func TestRoundTripEndsWithItsContext(t *testing.T) {
	for name, answer := range map[string]string{"silent": "", "endless": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"} {
		t.Run(name, func(t *testing.T) {
			up, ended := hears(t, answer)
			h := NewHTTP1(HTTP1Options{Address: up.addr})
			defer h.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			res, err := RoundTrip(ctx, h, Request{Method: http.MethodGet, Target: "/", Host: "a"}, nil, 1000)
			if !errors.Is(err, context.DeadlineExceeded) || (res == nil) != (answer == "") || res != nil && !strings.HasPrefix(string(res.Body), "abc") {
				t.Errorf("got %+v, %v", res, err)
			}
			<-ended
		})
	}
}
