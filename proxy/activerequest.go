package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/internal/web"
)

// lastWord is how long an answer may go on that began after the end of its
// session.
const lastWord = 10 * time.Second

// What a passage has come to.
const (
	isAsked    int32 = iota // the application has not answered yet
	isAnswered              // the answer has begun
	isStream                // the same, and it is a stream of events, or the protocol was switched
)

// progress knows how far a passage has come, for Live, which looks at it from
// outside. It costs a request one atomic step a piece of a body.
type progress struct {
	stage atomic.Int32
	sent  atomic.Int64  // bytes that the visitor sent, as far as they are a use
	read  atomic.Int64  // bytes of the body that the visitor sent
	ended atomic.Bool   // the body was read to its end
	got   *web.Recorder // what the visitor got; nil: not known

	changes bool  // the method may change something (RFC 9110, 9.2.1)
	length  int64 // of the body; -1: not known
	body    meteredBody
	frames  frameReader // of a WebSocket, from the visitor

	// Live alone touches these, under its lock.
	counted int64     // sent and got when it looked last
	late    bool      // the session ended before the answer began
	begun   time.Time // when the late answer was seen to have begun
}

// A meteredBody is the visitor's body, and tells progress of what is read.
type meteredBody struct {
	io.ReadCloser
	s *exchange
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.s.read.Add(int64(n))
	if b.s.p.activity.transfers {
		b.s.sent.Add(int64(n))
	}
	if err == io.EOF {
		b.s.ended.Store(true)
	}
	return n, err //nolint:wrapcheck // the engine knows what a body says
}

// meter begins to look at what the visitor sends and gets.
func (s *exchange) meter(w http.ResponseWriter) {
	if s.id == nil {
		return
	}
	s.got, _ = w.(*web.Recorder)
	s.length, s.changes = s.in.ContentLength, !isSafe(s.in.Method)
	if s.in.Body != nil && s.in.Body != http.NoBody && s.length != 0 {
		s.body = meteredBody{s.in.Body, s}
		s.in.Body = &s.body
	}
}

// bodyRead reports whether nothing of the visitor's body is left to read.
func (s *exchange) bodyRead() bool {
	return s.length == 0 || s.ended.Load() || s.length > 0 && s.read.Load() >= s.length
}

// answers notes that the answer has begun. Streams of events go on with nobody
// in front of them.
func (s *exchange) answers(status int, h http.Header) {
	switch {
	case status == http.StatusSwitchingProtocols:
		s.stage.Store(isStream)
	case status < http.StatusOK:
	case isEventStream(h["Content-Type"]):
		s.stage.Store(isStream)
	default:
		s.stage.Store(isAnswered)
	}
}

func isEventStream(types []string) bool {
	for _, t := range types {
		t, _, _ = strings.Cut(t, ";")
		t = strings.ToLower(strings.TrimSpace(t))
		if t == "text/event-stream" || t == "multipart/x-mixed-replace" {
			return true
		}
	}
	return false
}

// spoke is told what the visitor sends over a connection that has switched
// protocols.
func (s *exchange) spoke(p []byte) {
	switch {
	case !s.p.activity.sockets:
	case strings.EqualFold(s.out.Upgrade, webSocket):
		s.sent.Add(s.frames.follow(p))
	default:
		s.sent.Add(int64(len(p)))
	}
}

// moved returns how many bytes have moved that are a use of the session.
func (s *exchange) moved() int64 {
	if !s.active {
		return 0
	}
	n := s.sent.Load()
	if s.p.activity.transfers && s.got != nil && s.stage.Load() != isStream {
		n += s.got.Bytes()
	}
	return n
}

// end breaks the passage off, because its session has ended. One goes on: a
// request that may have changed something, and came as a whole before; it does
// so also while the connection to the application is being made. The
// application does what it asks for, and somebody who was led to the login
// instead of the answer would ask again. The answer then has lastWord; an
// application that gives none is bounded by timeouts.response. An answer that
// began before, or that is a stream, is cut like any other.
func (s *exchange) end(now time.Time) {
	stage := s.stage.Load()
	switch {
	case !s.changes, stage == isStream, !s.bodyRead():
	case stage == isAsked:
		s.late = true
		return
	case s.late && s.begun.IsZero():
		s.begun = now
		return
	case s.late && now.Sub(s.begun) < lastWord:
		return
	}
	s.breaker.Break()
}

// isSafe reports whether a method changes nothing (RFC 9110, 9.2.1).
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
