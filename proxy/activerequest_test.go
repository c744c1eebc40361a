package proxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/sessions"
)

// slow is an application that reads a request to its end, says so, and answers
// when it is told to.
type slow struct {
	*httptest.Server
	read, answer chan struct{}
}

func slowApp(t *testing.T, kind string) *slow {
	t.Helper()
	a := &slow{read: make(chan struct{}, 8), answer: make(chan struct{})}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		a.read <- struct{}{}
		select {
		case <-a.answer:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = fmt.Fprintf(w, "paid %d", len(body))
		if kind == "text/event-stream" {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// People paid twice: the application had their POST, and they were led to the
// login as if it had not.
func TestWhatWasForwardedIsAnswered(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		for _, request := range []string{
			"POST /pay HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
			"POST /pay HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000),
			"POST /pay HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			"DELETE /pay HTTP/1.1\r\n\r\n",
			"PUT /pay HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
		} {
			live := new(ActiveRequests)
			s.options = func(o *Options) { o.Live = live }
			app := slowApp(t, "text/plain")
			h := open(t, s, fixture(app.URL))
			got := make(chan string, 1)
			go func() {
				got <- h.raw(t, strings.Replace(request, "\r\n", "\r\nHost: "+host+"\r\n"+aliceLine+"Connection: close\r\n", 1))
			}()
			<-app.read
			for range 3 { // whoever ended the session, and then the watch, again and again
				cutAll(t, live)
			}
			close(app.answer)
			if answer := <-got; status(answer) != "200" || !strings.Contains(answer, "paid") {
				t.Errorf("%.40q: answer %q, want that of the application", request, answer)
			}
		}
	})
}

// What the application has not got as a whole it has not done: who sent it is
// led to the login.
func TestHalfABodyIsCut(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		live := new(ActiveRequests)
		s.options = func(o *Options) { o.Live = live }
		up := record(t, okAnswer)
		h := open(t, s, fixture(up.url()))
		c := h.dial(t)
		_, _ = io.WriteString(c, "POST /pay HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"Content-Length: 100000\r\n\r\nhello")
		e2e.Eventually(t, func() error {
			if list := up.seen(); len(list) != 1 || !strings.HasSuffix(list[0], "hello") {
				return fmt.Errorf("upstream saw %q", list)
			}
			return nil
		})
		cutAll(t, live)
		res, err := http.ReadResponse(bufio.NewReader(c), nil) //nolint:bodyclose // the connection is closed
		if err != nil || res.StatusCode != http.StatusSeeOther {
			t.Errorf("answer %v, %v, want the way to the login", res, err)
		}
	})
}

// A stream is cut with its session, whatever the method that opened it.
func TestStreamOfAPostIsCut(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		live := new(ActiveRequests)
		s.options = func(o *Options) { o.Live = live }
		app := slowApp(t, "text/event-stream")
		h := open(t, s, fixture(app.URL))
		c := h.dial(t)
		_, _ = io.WriteString(c, "POST /x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"Content-Length: 0\r\n\r\n")
		<-app.read
		cutAll(t, live)
		close(app.answer)
		in := bufio.NewReader(c)
		res, err := http.ReadResponse(in, nil) //nolint:bodyclose // the connection is closed
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("answer %v, %v", res, err)
		}
		cutAll(t, live)
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("the stream ended as if it were whole")
		}
	})
}

// The answer to a session that has ended is bounded.
func TestLateAnswer(t *testing.T) {
	now := time.Now()
	of := func(method string, stage int32) *activeRequest {
		s := &activeRequest{}
		s.changes = !isSafe(method)
		s.stage.Store(stage)
		return s
	}
	began := of(http.MethodPost, isAnswered)
	if began.cut(now); !began.breaker.Broken() {
		t.Error("an answer that had begun before goes on")
	}
	late := of(http.MethodPost, isAsked)
	late.cut(now)
	late.stage.Store(isAnswered)
	for _, after := range []time.Duration{time.Hour, time.Hour + lateAnswer - 1} { // it is the answer that is bounded here
		if late.cut(now.Add(after)); late.breaker.Broken() {
			t.Errorf("cut %v after the end", after)
		}
	}
	if late.cut(now.Add(time.Hour + lateAnswer)); !late.breaker.Broken() {
		t.Errorf("not cut %v after the answer began", lateAnswer)
	}
	for _, s := range []*activeRequest{of(http.MethodGet, isAsked), of(http.MethodHead, isAsked), of(http.MethodOptions, isAsked), of(http.MethodPost, isStream)} {
		if s.cut(now); !s.breaker.Broken() {
			t.Errorf("%v goes on", s.changes)
		}
	}
}

// A transfer that took longer than the idle time was cut while bytes moved.
func TestBytesThatMoveAreUse(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		for _, tt := range []struct {
			name, kind string
			change     func(o *Options)
			want       bool
		}{
			{"download", "application/zip", nil, true},
			{"events", "text/event-stream; charset=utf-8", nil, false},
			{"transfers are none", "application/zip", func(o *Options) { o.Activity.Transfers = false }, false},
			{"ignored", "application/zip", func(o *Options) { o.Activity.Ignore = []string{"/x"} }, false},
		} {
			live := new(ActiveRequests)
			s.options = func(o *Options) {
				o.Live = live
				if tt.change != nil {
					tt.change(o)
				}
			}
			piece := make(chan struct{})
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tt.kind)
				for range piece {
					_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
					_ = http.NewResponseController(w).Flush()
				}
			}))
			h := open(t, s, fixture(app.URL))
			c := h.dial(t)
			_, _ = io.WriteString(c, "GET /x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"\r\n")
			key := people["alice"].Session.Key
			for i := range 3 {
				piece <- struct{}{}
				if _, err := io.CopyN(io.Discard, c, 64<<10); err != nil {
					t.Fatal(err)
				}
				if tt.want {
					until(t, fmt.Sprintf("%s, piece %d: a use", tt.name, i), func() bool { return live.Moved(sessions.Info{Key: key}) })
				} else if live.Moved(sessions.Info{Key: key}) {
					t.Errorf("%s, piece %d is a use", tt.name, i)
				}
			}
			close(piece)
			app.Close()
		}
	})
}

func TestUploadIsUse(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, s setting) {
		live := new(ActiveRequests)
		s.options = func(o *Options) { o.Live = live }
		app := slowApp(t, "text/plain")
		h := open(t, s, fixture(app.URL))
		c := h.dial(t)
		_, _ = io.WriteString(c, "POST /x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"Content-Length: 1000000\r\n\r\n")
		key := people["alice"].Session.Key
		for range 3 {
			_, _ = io.WriteString(c, strings.Repeat("x", 10000))
			until(t, "a use", func() bool { return live.Moved(sessions.Info{Key: key}) })
		}
		for live.Moved(sessions.Info{Key: key}) { // until all that was sent is counted
			time.Sleep(time.Millisecond)
		}
	})
}

// frame is one of a visitor's, masked with zeros.
func frame(opcode byte, payload string) string {
	b := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return string(append(b, 0, 0, 0, 0)) + payload
}

// What a visitor says over a WebSocket is a use; the pongs of a browser with
// nobody in front of it are none.
func TestSocketIsUse(t *testing.T) {
	const ping, pong, text = 9, 10, 1
	engines(t, func(t *testing.T, s setting) {
		live := new(ActiveRequests)
		s.options = func(o *Options) { o.Live = live }
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer closing(c)
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n") // of the key in RFC 6455, 1.3
			_, _ = io.Copy(c, rw)                                                                                                                                                   // echoes the bytes
		}))
		defer up.Close()
		h := open(t, s, fixture(up.URL))
		c := h.dial(t)
		_, _ = io.WriteString(c, "GET /x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		in := bufio.NewReader(c)
		if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols { //nolint:bodyclose // the connection is closed
			t.Fatalf("answer %v, %v", res, err)
		}
		key := people["alice"].Session.Key
		for _, tt := range []struct {
			frame string
			want  bool
		}{{frame(pong, ""), false}, {frame(text, "hello"), true}, {frame(ping, "are you there"), false}, {frame(text, strings.Repeat("x", 70000)), true}, {frame(pong, "x"), false}, {frame(text, ""), true}} {
			_, _ = io.WriteString(c, tt.frame)
			if _, err := io.CopyN(io.Discard, in, int64(len(tt.frame))); err != nil { // it has been through
				t.Fatal(err)
			}
			if got := live.Moved(sessions.Info{Key: key}); got != tt.want {
				t.Errorf("%.10q: moved is %v, want %v", tt.frame, got, tt.want)
			}
		}
	})
}

// However the bytes are cut into pieces, they are the same frames.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(frame(1, "hello")+frame(10, "")+frame(2, strings.Repeat("x", 300))), 3)
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		var whole, pieces frameReader
		want := whole.follow(b)
		var got int64
		for piece := range slices.Chunk(b, max(1, size%32)) {
			got += pieces.follow(piece)
		}
		if got != want || pieces != whole || want > int64(len(b)) {
			t.Errorf("%d bytes of data in pieces of %d, %d in one", got, size, want)
		}
	})
}
