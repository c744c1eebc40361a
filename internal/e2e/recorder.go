package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the handshake of RFC 6455 is made of it
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A Recorder is an application that records every byte it receives. It uses no
// HTTP library, so that tests see what a library would fold, trim or refuse.
type Recorder struct {
	URL string

	// Answer returns the raw bytes of the answer to a request; "" closes the
	// connection. It has to be set before the first request. nil (the default):
	// every request gets 200 and a body of two bytes, a WebSocket handshake 101.
	// See also ThenClose.
	Answer func(Request) string

	ln    net.Listener
	mu    sync.Mutex
	seen  []Request
	conns map[net.Conn]bool
}

// ThenClose at the end of an answer closes the connection after it.
const ThenClose = "\x00close"

// A Request is a request as it was sent.
type Request struct {
	Head    string // request line and header, with the empty line
	Body    string // as framed: chunk sizes and trailers are in it
	Trailer string // lines after the last chunk
	Whole   bool   // false: the connection ended before the request did
	Payload int    // bytes of the body without framing
}

// Line returns the request line.
func (q Request) Line() string {
	line, _, _ := strings.Cut(q.Head, "\r\n")
	return line
}

// Target returns the request target; "" when the request line has not three parts.
func (q Request) Target() string {
	if words := strings.Split(q.Line(), " "); len(words) == 3 {
		return words[1]
	}
	return ""
}

// Lines returns the values of all header lines with that name, in any case.
func (q Request) Lines(name string) []string {
	var got []string
	for _, line := range q.fields() {
		if n, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			got = append(got, strings.TrimSpace(value))
		}
	}
	return got
}

func (q Request) fields() []string {
	lines := strings.Split(strings.TrimSuffix(q.Head, "\r\n\r\n"), "\r\n")
	return lines[1:]
}

// identity matches the names of headers that carry an identity, after every
// character that is no letter or digit has become a "-", as in the most careless
// server.
var identity = regexp.MustCompile(`^(x-forwarded-(user|email|groups|preferred-username)|(x-)?remote-(user|name|email|groups)|x-auth-request-.*|x-webauth-user)$`)

var noLetter = regexp.MustCompile(`[^a-z0-9]`)

// Identity returns all header and trailer lines that some server could take for
// an identity.
func (q Request) Identity() []string {
	var got []string
	for _, line := range append(q.fields(), strings.Split(q.Trailer, "\r\n")...) {
		name, _, ok := strings.Cut(line, ":")
		if ok && identity.MatchString(noLetter.ReplaceAllString(strings.ToLower(name), "-")) {
			got = append(got, line)
		}
	}
	return got
}

// Record starts a Recorder, which ends with the test.
func Record(tb testing.TB) *Recorder {
	tb.Helper()
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &Recorder{URL: "http://" + ln.Addr().String(), ln: ln, conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() { r.accept(&all) })
	tb.Cleanup(func() {
		_ = ln.Close()
		r.mu.Lock()
		for c := range r.conns {
			_ = c.Close()
		}
		r.mu.Unlock()
		all.Wait()
	})
	return r
}

// Requests returns the requests since the last Reset, incomplete ones included.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.seen...)
}

// Bytes returns all bytes of Requests.
func (r *Recorder) Bytes() string {
	var b strings.Builder
	for _, q := range r.Requests() {
		b.WriteString(q.Head + q.Body)
	}
	return b.String()
}

// Reset forgets all requests and closes the connections, so that nothing of an
// earlier test can come later.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = nil
	for c := range r.conns {
		_ = c.Close()
	}
}

// One returns the only request; another number of requests fails the test.
func (r *Recorder) One(tb testing.TB) Request {
	tb.Helper()
	got := r.Requests()
	if len(got) != 1 {
		tb.Fatalf("the application saw %d requests, want 1:\n%s", len(got), r.Bytes())
	}
	return got[0]
}

// None fails the test if a single byte was received.
func (r *Recorder) None(tb testing.TB) {
	tb.Helper()
	if got := r.Bytes(); got != "" {
		tb.Errorf("the application saw:\n%s", got)
	}
}

func (r *Recorder) accept(all *sync.WaitGroup) {
	for {
		conn, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns[conn] = true
		r.mu.Unlock()
		all.Go(func() {
			r.serve(conn)
			_ = conn.Close()
			r.mu.Lock()
			delete(r.conns, conn)
			r.mu.Unlock()
		})
	}
}

func (r *Recorder) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		q, at := Request{}, -1
		note := func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if at < 0 {
				at = len(r.seen)
				r.seen = append(r.seen, q)
			} else if at < len(r.seen) {
				r.seen[at] = q
			}
		}
		if !readHead(in, &q) {
			if q.Head != "" {
				note()
			}
			return
		}
		note() // before the body: the client may wait for an answer first
		if strings.EqualFold(strings.Join(q.Lines("Expect"), ","), "100-continue") {
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		q.Whole = readBody(in, &q)
		note()
		if !q.Whole {
			return
		}
		answer := r.answer(q)
		if answer == "" {
			return
		}
		answer, last := strings.CutSuffix(answer, ThenClose)
		if _, err := io.WriteString(conn, answer); err != nil || last {
			return
		}
		if strings.HasPrefix(answer, "HTTP/1.1 101") {
			_, _ = io.Copy(conn, in) // an echo until the other side ends it
			return
		}
		if strings.EqualFold(strings.Join(q.Lines("Connection"), ","), "close") {
			return
		}
	}
}

func (r *Recorder) answer(q Request) string {
	if r.Answer != nil {
		return r.Answer(q)
	}
	key := strings.Join(q.Lines("Sec-WebSocket-Key"), "")
	if strings.EqualFold(strings.Join(q.Lines("Upgrade"), ","), "websocket") {
		if strings.Join(q.Lines("Sec-WebSocket-Version"), "") != "13" || !strings.HasPrefix(q.Line(), "GET ") {
			return "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
		}
		return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + AcceptKey(key) + "\r\n\r\n"
	}
	if strings.HasPrefix(q.Line(), "HEAD ") {
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
	}
	return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
}

// AcceptKey returns the Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455
// section 4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// readHead reads to the empty line, and reports whether it came.
func readHead(in *bufio.Reader, q *Request) bool {
	var head bytes.Buffer
	for {
		line, err := in.ReadString('\n')
		head.WriteString(line)
		q.Head = head.String()
		if err != nil {
			return false
		}
		if line == "\r\n" && head.Len() > 2 {
			return true
		}
	}
}

// readBody reads the body that Content-Length or Transfer-Encoding announces, and
// reports whether all of it came.
func readBody(in *bufio.Reader, q *Request) bool {
	var body bytes.Buffer
	defer func() { q.Body = body.String() }()
	take := func(n int64) error {
		_, err := io.CopyN(&body, in, n)
		return err
	}
	if len(q.Lines("Transfer-Encoding")) == 0 {
		length := q.Lines("Content-Length")
		if len(length) == 0 {
			return true
		}
		n, err := strconv.ParseInt(length[0], 10, 64)
		if err != nil {
			return false
		}
		err = take(n)
		q.Payload = body.Len()
		return err == nil
	}
	for {
		line, err := in.ReadString('\n')
		body.WriteString(line)
		if err != nil {
			return false
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil {
			return false
		}
		if n == 0 {
			break
		}
		if take(n+2) != nil {
			return false
		}
		q.Payload += int(n)
	}
	for {
		line, err := in.ReadString('\n')
		body.WriteString(line)
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
		q.Trailer += line
	}
}

// AwaitRequests waits until there are n requests, and returns them.
func (r *Recorder) AwaitRequests(tb testing.TB, n int) []Request {
	tb.Helper()
	Eventually(tb, func() error {
		if got := len(r.Requests()); got < n {
			return fmt.Errorf("the application saw %d requests, want %d", got, n)
		}
		return nil
	})
	return r.Requests()
}
