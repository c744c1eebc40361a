//go:build e2e

package gate_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gatehouse/internal/demo"
	"gatehouse/internal/e2e"
)

// behind starts an application and a gate before it, and signs alice in.
func behind(t *testing.T, m e2e.Mode, app http.HandlerFunc) (*e2e.Gate, *e2e.Browser) {
	t.Helper()
	s := httptest.NewServer(app)
	t.Cleanup(s.Close)
	gate := e2e.Start(t, m, e2e.Standard(s.URL))
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	return gate, alice
}

// TestStreamsBothWays: each byte passes when it comes, not at the end.
func TestStreamsBothWays(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		seen, next := make(chan string), make(chan struct{})
		_, alice := behind(t, m, func(w http.ResponseWriter, r *http.Request) {
			buf := make([]byte, 100)
			for range 3 {
				n, _ := r.Body.Read(buf)
				seen <- string(buf[:n])
			}
			rc := http.NewResponseController(w)
			for i := range 3 {
				_, _ = fmt.Fprintf(w, "part %d\n", i)
				_ = rc.Flush()
				<-next
			}
		})
		body, writer := io.Pipe()
		go func() {
			defer func() { _ = writer.Close() }()
			for i := range 3 {
				_, _ = fmt.Fprintf(writer, "chunk %d", i)
				if got := <-seen; got != fmt.Sprintf("chunk %d", i) { // the application has it before the next is written
					t.Errorf("the application read %q", got)
				}
			}
		}()
		answer := alice.Stream(alice.Request("POST", "/private", body))
		in := bufio.NewReader(answer)
		for i := range 3 {
			line, err := in.ReadString('\n')
			if err != nil || line != fmt.Sprintf("part %d\n", i) {
				t.Fatalf("read %q, error %v", line, err)
			}
			next <- struct{}{}
		}
	})
}

// TestServerSentEvents: an event is seen when it is sent, whatever the pause
// before the next; and when the visitor leaves, the application is told.
func TestServerSentEvents(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		left := make(chan struct{})
		_, alice := behind(t, m, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: first\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(left)
		})
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		body := alice.Stream(alice.Request("GET", "/private", nil).WithContext(ctx))
		if line, err := bufio.NewReader(body).ReadString('\n'); line != "data: first\n" {
			t.Fatalf("read %q, error %v", line, err)
		}
		leave()
		await(t, left, "the application to learn that the visitor has gone")
	})
}

func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(e2e.Patience):
		t.Fatalf("waited %s for %s", e2e.Patience, what)
	}
}

// TestVisitorGone: an upload that its sender gives up is not a whole one to
// the application.
func TestVisitorGone(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		result, begun := make(chan error, 1), make(chan struct{})
		_, alice := behind(t, m, func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadFull(r.Body, make([]byte, 3))
			close(begun)
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
			}
			result <- err
		})
		body, writer := io.Pipe()
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			_, _ = io.WriteString(writer, "abc")
			<-begun
			leave()
			_ = writer.CloseWithError(context.Canceled)
		}()
		resp, err := alice.Client.Do(alice.Request("POST", "/private", body).WithContext(ctx))
		if err == nil {
			_ = resp.Body.Close()
		}
		select {
		case err := <-result:
			if err == nil {
				t.Error("the application took half an upload for a whole one")
			}
		case <-time.After(e2e.Patience):
			t.Error("the application was not told that the visitor has gone")
		}
	})
}

// TestWebSocket: echo, the identity, and who may not.
func TestWebSocket(t *testing.T) {
	for _, m := range []e2e.Mode{e2e.HTTP1, e2e.HTTPS1} {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			gate, alice := behind(t, m, demo.New().ServeHTTP)
			url := strings.Replace(alice.Base, "http", "ws", 1) + "/echo"
			dial := func(b *e2e.Browser, origin string) (*websocket.Conn, int) {
				opts := &websocket.DialOptions{HTTPClient: b.Client}
				if origin != "" {
					opts.HTTPHeader = http.Header{"Origin": {origin}}
				}
				conn, resp, err := websocket.Dial(t.Context(), url, opts) //nolint:bodyclose // the library owns it
				if resp == nil {
					t.Fatalf("dial: %v", err)
				}
				return conn, resp.StatusCode
			}
			conn, status := dial(alice, alice.Base)
			if status != http.StatusSwitchingProtocols {
				t.Fatalf("alice: %d, want 101", status)
			}
			defer func() { _ = conn.CloseNow() }()
			for _, msg := range []string{"hello", strings.Repeat("x", 20_000)} {
				if err := conn.Write(t.Context(), websocket.MessageText, []byte(msg)); err != nil {
					t.Fatal(err)
				}
				if _, got, err := conn.Read(t.Context()); string(got) != "alice: "+msg {
					t.Fatalf("got %.40q, error %v", got, err)
				}
			}
			if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Errorf("close: %v", err)
			}
			if _, status := dial(gate.Browser(t), alice.Base); status != http.StatusUnauthorized {
				t.Errorf("not signed in: %d, want 401", status)
			}
			if _, status := dial(alice, "https://evil.test"); status != http.StatusForbidden {
				t.Errorf("from another origin: %d, want 403", status)
			}
		})
	}
}

// TestEndedSessionsCutLiveStreams: whoever ends a session, by whatever means,
// what is open ends within a second or so.
//
// Django 124.
func TestEndedSessionsCutLiveStreams(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		gate, alice := behind(t, m, demo.New().ServeHTTP)
		for name, end := range map[string]func(){
			"logout":               alice.Logout,
			"session revoke --all": func() { gate.Must(t, "", "session", "revoke", "--all") },
		} {
			if alice.SignedInAs() == "" {
				alice.Login("alice", e2e.Password)
			}
			body := alice.Stream(alice.Request("GET", "/events?every=50", nil))
			if _, err := body.Read(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			end()
			done := time.Now()
			_, _ = io.Copy(io.Discard, body)
			if took := time.Since(done); took > 3*time.Second {
				t.Errorf("%s: the stream went on for %s", name, took)
			}
		}
	})
}

// TestEarlyHints: interim answers pass.
func TestEarlyHints(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		_, alice := behind(t, m, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "gone")
		})
		var hints []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, " ", h.Get("Link")))
			return nil
		}})
		a := alice.Send(alice.Request("GET", "/private", nil).WithContext(ctx))
		if a.Status != http.StatusNotFound || a.Body != "gone" || fmt.Sprint(hints) != "[103 </style.css>; rel=preload]" {
			t.Errorf("status %d, body %q, hints %q", a.Status, a.Body, hints)
		}
	})
}

// TestTrailers: both ways, and never an identity.
func TestTrailers(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		_, alice := behind(t, m, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Trailer", "X-Sum")
			_, _ = fmt.Fprint(w, len(r.Trailer), " ", r.Trailer.Get("X-Check"), " ", r.Trailer.Get("X-Forwarded-User"), " ", r.Header.Get("X-Forwarded-User")) //nolint:gosec // a test reads it, no browser
			w.Header().Set("X-Sum", "42")
		})
		req := alice.Request("POST", "/private", io.NopCloser(strings.NewReader("body")))
		req.Trailer = http.Header{"X-Check": {"abc"}, "X-Forwarded-User": {"root"}}
		a := alice.Send(req)
		if strings.Contains(a.Body, "root") || !strings.HasSuffix(a.Body, " alice") {
			t.Errorf("the application saw %q", a.Body)
		}
		if !strings.Contains(a.Body, "abc") {
			t.Errorf("the request's trailer was lost: %q", a.Body)
		}
		if got := a.Trailer.Get("X-Sum"); got != "42" {
			t.Errorf("trailer X-Sum %q, want 42", got)
		}
	})
}

// TestExpectContinue: the body is asked for when the application wants it, and
// not when it does not.
func TestExpectContinue(t *testing.T) {
	for _, m := range []e2e.Mode{e2e.HTTP1, e2e.HTTPS1} {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			gate, alice := behind(t, m, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/refuse" {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					return
				}
				body, _ := io.ReadAll(r.Body)
				_, _ = fmt.Fprintf(w, "got %s", body)
			})
			post := func(path string) (net.Conn, *bufio.Reader) {
				conn := gate.Dial(t)
				_ = conn.SetDeadline(time.Now().Add(e2e.Patience))
				_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", path, e2e.Host, alice.CookieLine())
				return conn, bufio.NewReader(conn)
			}
			conn, in := post("/take")
			if line, err := in.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("got %q, error %v", line, err)
			}
			_, _ = in.ReadString('\n')
			_, _ = io.WriteString(conn, "hello")
			if a := e2e.ReadAnswer(t, in, "POST"); a.Status != http.StatusOK || a.Body != "got hello" {
				t.Errorf("status %d, body %q", a.Status, a.Body)
			}
			_, in = post("/refuse")
			if a := e2e.ReadAnswer(t, in, "POST"); a.Status != http.StatusRequestEntityTooLarge {
				t.Errorf("without sending the body: %d, want 413", a.Status)
			}
		})
	}
}

// TestAnswersWithoutBody: HEAD, 204 and 304, with what they say about length,
// and the connection lives on.
func TestAnswersWithoutBody(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		_, alice := behind(t, m, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			switch r.URL.Path {
			case "/204":
				w.WriteHeader(http.StatusNoContent)
			case "/304":
				w.WriteHeader(http.StatusNotModified)
			default:
				w.Header().Set("Content-Length", "5")
				_, _ = io.WriteString(w, "hello")
			}
		})
		for range 2 {
			if a := alice.Do("HEAD", "/200", nil); a.Status != 200 || a.Body != "" || a.Header.Get("Content-Length") != "5" {
				t.Errorf("HEAD: %d, body %q, Content-Length %q", a.Status, a.Body, a.Header.Get("Content-Length"))
			}
			if a := alice.Do("GET", "/204", nil); a.Status != 204 || a.Body != "" || a.Err != nil {
				t.Errorf("204: %d, body %q", a.Status, a.Body)
			}
			if a := alice.Do("GET", "/304", nil, `If-None-Match: "1"`); a.Status != 304 || a.Body != "" || a.Header.Get("Etag") != `"1"` {
				t.Errorf("304: %d, body %q, ETag %q", a.Status, a.Body, a.Header.Get("Etag"))
			}
			if a := alice.Do("GET", "/200", nil); a.Body != "hello" || a.Length != 5 {
				t.Errorf("GET: body %q, Content-Length %d", a.Body, a.Length)
			}
		}
	})
}

// TestRanges: asked for and answered as if nothing stood between.
func TestRanges(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		_, alice := behind(t, m, demo.New().ServeHTTP)
		a := alice.Fetch("/download?n=1000", "Range: bytes=17-18")
		if a.Status != http.StatusPartialContent || a.Body != "bc" || a.Header.Get("Content-Range") != "bytes 17-18/1000" {
			t.Errorf("status %d, body %q, Content-Range %q", a.Status, a.Body, a.Header.Get("Content-Range"))
		}
		if a := alice.Fetch("/download?n=1000", "Range: bytes=2000-"); a.Status != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("beyond the end: %d, want 416", a.Status)
		}
	})
}

// TestLargeTransfers: 256 MiB each way, byte for byte, in memory that does
// not grow with them. Not parallel: it reads the process's peak.
func TestLargeTransfers(t *testing.T) {
	size := int64(256 << 20)
	if e2e.Race() {
		size = 64 << 20 // it is about the bytes then; the memory is the detector's own
	}
	want := sha256.New()
	_, _ = io.CopyN(want, letters{}, size)
	sum := hex.EncodeToString(want.Sum(nil))
	for _, m := range e2e.Modes {
		t.Run(m.Name, func(t *testing.T) {
			gate, alice := behind(t, m, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					sum := sha256.New()
					n, err := io.Copy(sum, r.Body)
					_, _ = fmt.Fprintf(w, "%d %v %x", n, err, sum.Sum(nil))
					return
				}
				_, _ = io.CopyN(w, letters{}, size)
			})
			before := e2e.Memory(t, gate.PID(), "VmHWM")
			req := alice.Request("POST", "/private", io.LimitReader(letters{}, size))
			req.ContentLength = size
			if a := alice.Send(req); a.Body != fmt.Sprintf("%d <nil> %s", size, sum) {
				t.Errorf("upload: status %d, %s", a.Status, a.Body)
			}
			body := alice.Stream(alice.Request("GET", "/private", nil))
			got := sha256.New()
			n, err := io.Copy(got, body)
			if n != size || err != nil || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
				t.Errorf("download: %d bytes, error %v, right bytes: %t", n, err, bytes.Equal(got.Sum(nil), want.Sum(nil)))
			}
			if grown := e2e.Memory(t, gate.PID(), "VmHWM") - before; grown > 32<<20*int64(e2e.Slower()) {
				t.Errorf("the gate's memory grew by %d MiB", grown>>20)
			}
		})
	}
}

// letters yields the alphabet without end.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	const alphabet = "abcdefghijklmnopqrstuvwxyz012345"
	n := len(p) - len(p)%len(alphabet)
	if n == 0 {
		n = copy(p, alphabet)
		return n, nil
	}
	for i := 0; i < n; i += len(alphabet) {
		copy(p[i:], alphabet)
	}
	return n, nil
}
