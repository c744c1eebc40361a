package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the handshake of RFC 6455 is made of it
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Recorder is an application that writes down every byte it gets. It is no
// HTTP library: what a library would fold, trim or refuse is seen as it came.
type Recorder struct {
	URL string

	// Answer, when set before the first request, makes the answer to a
	// request: raw bytes. "" closes the connection, see also ThenClose. By default every request
	// gets 200 and two bytes, and a WebSocket handshake 101.
	Answer func(Request) string

	ln    net.Listener
	mu    sync.Mutex
	seen  []Request
	conns map[net.Conn]bool
}

// ThenClose at the end of an answer closes the connection after it.
const ThenClose = "\x00close"

// A Request is one request as it lay on the wire.
type Request struct {
	Head    string // with its last empty line
	Body    string // as framed: chunk sizes and trailers are in it
	Trailer string // lines after the last chunk
	Whole   bool   // false: the connection ended in the middle
	Payload int    // bytes of the body without framing
}

// Line is the request line.
func (q Request) Line() string {
	line, _, _ := strings.Cut(q.Head, "\r\n")
	return line
}

// Target is the second word of the request line.
func (q Request) Target() string {
	if words := strings.Split(q.Line(), " "); len(words) == 3 {
		return words[1]
	}
	return ""
}

// Lines are the header lines of that name, compared without regard to case.
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

// identity are the headers that speak of who asks, folded as the most
// careless server folds names.
var identity = regexp.MustCompile(`^(x-forwarded-(user|email|groups|preferred-username)|(x-)?remote-(user|name|email|groups)|x-auth-request-.*|x-webauth-user)$`)

var noLetter = regexp.MustCompile(`[^a-z0-9]`)

// Identity are all header and trailer lines that some server could take for
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

// Record starts a Recorder.
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

// Requests are what was seen since the last Reset.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.seen...)
}

// Bytes are all that was seen since the last Reset.
func (r *Recorder) Bytes() string {
	var b strings.Builder
	for _, q := range r.Requests() {
		b.WriteString(q.Head + q.Body)
	}
	return b.String()
}

// Reset forgets what was seen, and closes the connections: what comes later
// on them belongs to no test any more.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = nil
	for c := range r.conns {
		_ = c.Close()
	}
}

// One is the only request that was seen; that there is another number of them
// fails the test.
func (r *Recorder) One(tb testing.TB) Request {
	tb.Helper()
	got := r.Requests()
	if len(got) != 1 {
		tb.Fatalf("the application saw %d requests, want 1:\n%s", len(got), r.Bytes())
	}
	return got[0]
}

// None fails the test when anything was seen.
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

// AcceptKey answers the key of a WebSocket handshake (RFC 6455 section 4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// readHead reads to the empty line; false when the connection ends before.
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

// readBody reads what Content-Length or chunks announce; false when the
// connection ends before.
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

// sessionUser reads the JSON of /_gate/session.
func sessionUser(tb testing.TB, body string) string {
	tb.Helper()
	var s struct {
		Authenticated bool
		User          any
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		tb.Fatalf("/_gate/session: %v\n%s", err, body)
	}
	if !s.Authenticated {
		return ""
	}
	if name, ok := s.User.(string); ok {
		return name
	}
	tb.Fatalf("/_gate/session: user is not a name:\n%s", body)
	return ""
}

// AwaitRequests waits until n requests were seen.
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

// ReadFor reads what comes until the connection ends or d has passed. ended
// is true when the other side ended it.
func ReadFor(conn net.Conn, d time.Duration) (got string, ended bool) {
	_ = conn.SetReadDeadline(time.Now().Add(d))
	all, err := io.ReadAll(conn)
	var timeout net.Error
	return string(all), err == nil || !errors.As(err, &timeout) || !timeout.Timeout()
}
