package engine

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Old CGI programs and devices end lines in a bare LF, leave a space before the
// colon, and send lines that are no fields.
func TestLenient(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer, body string
		header       http.Header
		dropped      string // what the log calls it
	}{
		"bare LF, until close":    {"HTTP/1.0 200 OK\nContent-Type: text/html\n\nhello", "hello", http.Header{"Content-Type": {"text/html"}}, ""},
		"bare LF, length":         {"HTTP/1.1 200 OK\nContent-Length: 5\nX-A: b\n\nhello", "hello", http.Header{"X-A": {"b"}, "Content-Length": {"5"}}, ""},
		"mixed":                   {"HTTP/1.1 200 OK\r\nContent-Length: 5\nX-A: b\r\n\nhello", "hello", http.Header{"X-A": {"b"}}, ""},
		"bare LF, chunked":        {"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n", "hello", nil, ""},
		"chunked with trailers":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\nX-Sum: 1\n\n", "hello", nil, ""},
		"space before the colon":  {"HTTP/1.1 200 OK\r\nContent-Length : 5\r\nX-A \t: b\r\n\r\nhello", "hello", http.Header{"X-A": {"b"}, "Content-Length": {"5"}}, ""},
		"no colon":                {"HTTP/1.1 200 OK\r\nsecret words here\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", "hello", http.Header{"X-A": {"b"}}, "secret"},
		"no name":                 {"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 5\r\n\r\nhello", "hello", nil, `""`},
		"a name that is none":     {"HTTP/1.1 200 OK\r\nX(A): b\r\nContent-Length: 5\r\n\r\nhello", "hello", nil, "X(A)"},
		"a control character":     {"HTTP/1.1 200 OK\r\nX-A: b\x01c\r\nContent-Length: 5\r\n\r\nhello", "hello", http.Header{"X-A": nil}, "X-A"},
		"a bare CR":               {"HTTP/1.1 200 OK\r\nX-A: b\rX-B: c\r\nContent-Length: 5\r\n\r\nhello", "hello", http.Header{"X-A": nil, "X-B": nil}, "X-A"},
		"folded, and so dropped":  {"HTTP/1.1 200 OK\r\nodd\r\n folded: 1\r\nContent-Length: 5\r\n\r\nhello", "hello", http.Header{"Folded": nil}, "odd"},
		"folded":                  {"HTTP/1.1 200 OK\nX-A: b\n c\nContent-Length: 5\n\nhello", "hello", http.Header{"X-A": {"b c"}}, ""},
		"well-formed all the way": {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wires(t, func(t *testing.T, start starter) {
				var log lines
				_, up := start(t, HTTP1Options{Lenient: true, Log: slog.New(slog.NewTextHandler(&log, nil))}, func(c net.Conn, br *bufio.Reader, _ int) {
					readHead(br)
					say(c, tt.answer)
				})
				g := before(t, up, nil)
				for range 2 {
					_, br := ask(t, g, get)
					res, err := http.ReadResponse(br, nil) //nolint:bodyclose // closed below
					if err != nil {
						t.Fatal(err)
					}
					b, err := io.ReadAll(res.Body)
					shut(res.Body)
					if string(b) != tt.body || err != nil || res.StatusCode != http.StatusOK {
						t.Errorf("the visitor got %d, %q, %v", res.StatusCode, b, err)
					}
					for name, want := range tt.header {
						if got := res.Header[name]; strings.Join(got, ";") != strings.Join(want, ";") {
							t.Errorf("%s: got %q, want %q", name, got, want)
						}
					}
				}
				got := log.String()
				if n := strings.Count(got, "line of an answer's header dropped"); n != min(len(tt.dropped), 1) || !strings.Contains(got, tt.dropped) || strings.Contains(got, "words") {
					t.Errorf("the log says %q", got)
				}
			})
		})
	}
}

// Leniency never makes it doubtful where an answer ends, and without it nothing
// of that passes.
func TestLenientRefuses(t *testing.T) {
	tests := map[string]string{
		"two lengths":        "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length : 6\n\nhello!",
		"length and chunked": "HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding : chunked\n\nhello",
		"an odd length":      "HTTP/1.1 200 OK\nContent-Length 5\n\nhello",
		"an odd coding":      "HTTP/1.1 200 OK\nTransfer-Encoding\x0b: chunked\n\n0\n\n",
		"no status line":     "\nHTTP/1.1 200 OK\n\n",
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			up := says(t, answer)
			for _, lenient := range []bool{true, false} {
				g := front(t, HTTP1Options{Address: up.addr, Lenient: lenient}, nil)
				exchangeRaw(t, g, get)
				if err := <-g.errs; kind(err) != Protocol {
					t.Errorf("lenient %v: got %v", lenient, err)
				}
			}
		})
	}
}

// What was mended is a head that a strict reader takes for the same, and mending
// it again changes nothing.
func FuzzMendHead(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\nContent-Length : 5\nodd\n folded\nX-A: b\r\n c\r\n\n")
	f.Add("HTTP/1.1 200 OK\r\n: x\r\n\x00: y\r\n\tz\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		seen := 0
		n, err := lenientEnd([]byte(text), &seen)
		if err != nil || n == 0 {
			return
		}
		none := func(string) {}
		head, err := mendHead(text[:n], none)
		if err != nil {
			return
		}
		seen = 0
		if end, err := headEnd([]byte(head), &seen); end != len(head) || err != nil {
			t.Fatalf("%q ends at %d, %v", head, end, err)
		}
		if again, err := mendHead(head, none); again != head || err != nil {
			t.Fatalf("mended again: %q, %v, was %q", again, err, head)
		}
		_, fields := cutLine(head)
		if strings.Count(fields, "\n") > maxFields {
			return
		}
		if err := eachField(fields, func(string, string) error { return nil }); err != nil {
			t.Fatalf("%q: %v", head, err)
		}
	})
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
