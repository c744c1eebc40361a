package engine

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// An upstream breaks off its answer: what has come of it is passed on, down to
// the head alone, and then the visitor's connection is broken off too.
func TestWhatCameOfABrokenAnswerIsSent(t *testing.T) {
	const head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/html\r\n"
	tests := map[string]struct{ answer, want string }{
		"the head alone":        {head + "Content-Length: 123\r\n\r\n", ""},
		"a few bytes":           {head + "Content-Length: 100\r\n\r\nhello", "hello"},
		"half":                  {head + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 50000), strings.Repeat("x", 50000)},
		"a chunk":               {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"},
		"half a chunk":          {head + "Transfer-Encoding: chunked\r\n\r\nff\r\nhello", "hello"},
		"no chunk":              {head + "Transfer-Encoding: chunked\r\n\r\n", ""},
		"all but the last line": {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "hello"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wires(t, func(t *testing.T, start starter) {
				_, up := start(t, HTTP1Options{}, func(c net.Conn, br *bufio.Reader, _ int) {
					readHead(br)
					say(c, tt.answer)
				})
				checkTruncated(t, up, tt.want)
			})
			t.Run("http.Transport", func(t *testing.T) {
				u := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
					readHead(br)
					say(c, tt.answer)
				})
				checkTruncated(t, NewTransport(TransportOptions{Address: u.addr, Timeouts: patient}), tt.want)
			})
		})
	}
}

func checkTruncated(t *testing.T, up Upstream, want string) {
	t.Helper()
	broke := make(chan *Error, 1)
	g := before(t, up, func(r *Request) { r.Broke = func(e *Error) { broke <- e } })
	_, br := ask(t, g, get)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(res.Body)
	if res.StatusCode != http.StatusInternalServerError || res.Header.Get("Content-Type") != "text/html" {
		t.Errorf("the visitor got %d, %v", res.StatusCode, res.Header)
	}
	got, err := io.ReadAll(res.Body)
	if string(got) != want || err == nil {
		t.Errorf("the visitor got %.20q (%d bytes), %v; want %.20q (%d bytes), and an error", got, len(got), err, want, len(want))
	}
	if err := <-g.errs; err == nil || err.Error() != "aborted" {
		t.Errorf("got %v", err)
	}
	if e := <-broke; e.Kind != Truncated {
		t.Errorf("told of %v", e)
	}
}

// A reason phrase of the upstream's own passes to who can be told.
func TestReasonPhrasePasses(t *testing.T) {
	type saying struct {
		status int
		reason string
	}
	tests := map[string]saying{ // the zero value: nothing is said, because it is the usual one
		"HTTP/1.1 200 Everything is fine": {200, "Everything is fine"},
		"HTTP/1.1 401 Access Denied":      {401, "Access Denied"},
		"HTTP/1.1 200 OK":                 {},
		"HTTP/1.1 299 Something":          {299, "Something"},
		"HTTP/1.1 404 Nicht gef\xfcnden":  {404, "Nicht gef\xfcnden"},
		"HTTP/1.1 200":                    {200, ""},
	}
	for line, want := range tests {
		t.Run(line, func(t *testing.T) {
			up := says(t, line+"\r\nContent-Length: 2\r\n\r\nok")
			for _, to := range []Upstream{
				NewHTTP1(HTTP1Options{Address: up.addr, Timeouts: patient}), NewTransport(TransportOptions{Address: up.addr, Timeouts: patient}),
			} {
				var got saying
				g := before(t, to, func(r *Request) {
					visitorOf(r.In.Context()).SetReason = func(status int, reason string) { got = saying{status, reason} }
				})
				exchangeRaw(t, g, get)
				g.wait(t)
				if got != want {
					t.Errorf("%T: said %+v, want %+v", to, got, want)
				}
			}
		})
	}
}
