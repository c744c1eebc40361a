package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/auth"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
	"gatehouse/sessions"
)

// lateAnswer is how long an answer may take that began after the end of its
// session.
const lateAnswer = 10 * time.Second

// The stages of a request that is being forwarded.
const (
	isAsked    int32 = iota // the upstream has not answered yet
	isAnswered              // the final answer has begun
	isStream                // the final answer has begun and is an event stream, or the protocol was switched
)

// An activeRequest is what the end of a session and its idle time need to know
// about a request that is being forwarded. The goroutine of the request and the
// engine write to it while ActiveRequests reads it from others, so shared fields
// are atomic: one atomic operation for each piece of a body.
type activeRequest struct {
	session    *sessions.Info // nil: nobody is signed in, and nothing is measured
	prev, next *activeRequest // the list of the session; guarded by ActiveRequests.mu
	breaker    engine.Canceler

	activity  *activity
	isUse     bool // the request is a use of the session, so the bytes that it transfers may be too
	changes   bool // its method is not safe (RFC 9110, 9.2.1)
	webSocket bool // it asks for a WebSocket

	stage  atomic.Int32
	sent   atomic.Int64  // bytes from the client that are a use of the session
	read   atomic.Int64  // bytes of the body read so far
	ended  atomic.Bool   // the body was read to its end
	got    *web.Recorder // counts what the client got; nil: unknown
	length int64         // length of the body; -1: unknown
	body   meteredBody
	frames frameReader // of a WebSocket, from the client

	// Guarded by ActiveRequests.mu:
	counted int64     // the result of moved at the last call of Moved
	late    bool      // the session ended before the answer began
	begun   time.Time // when the late answer was first seen to have begun
}

// A meteredBody is a request body that counts the bytes read from it.
type meteredBody struct {
	io.ReadCloser
	a *activeRequest
}

// Read implements io.Reader.
func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.a.read.Add(int64(n))
	if b.a.activity.transfers {
		b.a.sent.Add(int64(n))
	}
	if err == io.EOF {
		b.a.ended.Store(true)
	}
	return n, err //nolint:wrapcheck // the engine tells errors of bodies apart
}

// begin starts to measure what the client of r sends and gets. isUse is whether the
// request is a use of the session. Without a session nothing is measured, and the
// request is never cut.
func (a *activeRequest) begin(w http.ResponseWriter, r *http.Request, id *auth.Identity, isUse bool, policy *activity) {
	a.activity = policy
	if !id.HasSession() {
		return // no session whose end could cut it
	}
	a.session, a.isUse = &id.Session, isUse
	a.got, _ = w.(*web.Recorder)
	a.length, a.changes = r.ContentLength, !isSafe(r.Method)
	if r.Body != nil && r.Body != http.NoBody && a.length != 0 {
		a.body = meteredBody{r.Body, a}
		r.Body = &a.body
	}
}

// bodyRead reports whether the request body has been read completely.
func (a *activeRequest) bodyRead() bool {
	return a.length == 0 || a.ended.Load() || a.length > 0 && a.read.Load() >= a.length
}

// noteProgress is the answer filter that records the stage of the answer. Event
// streams are a stage of their own: bytes of one are no use of the session, because
// it continues when nobody is watching.
func noteProgress(s *exchange, status int, h http.Header) error {
	switch {
	case status == http.StatusSwitchingProtocols:
		s.active.stage.Store(isStream)
	case status < http.StatusOK:
	case isEventStream(h["Content-Type"]):
		s.active.stage.Store(isStream)
	default:
		s.active.stage.Store(isAnswered)
	}
	return nil
}

// isEventStream reports whether a Content-Type is that of a stream without an end.
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

// spoke is called by the engine with what the client sends over a connection that
// has switched protocols.
func (a *activeRequest) spoke(p []byte) {
	switch {
	case !a.activity.sockets:
	case a.webSocket:
		a.sent.Add(a.frames.follow(p))
	default:
		a.sent.Add(int64(len(p)))
	}
}

// moved returns how many bytes have been transferred that are a use of the session.
func (a *activeRequest) moved() int64 {
	if !a.isUse {
		return 0
	}
	n := a.sent.Load()
	if a.activity.transfers && a.got != nil && a.stage.Load() != isStream {
		n += a.got.Bytes()
	}
	return n
}

// cut interrupts the request because its session has ended. now is the current
// time.
//
// A request with a method that is not safe continues if it had arrived completely
// before the session ended: the application does what it was asked to do anyway,
// and a person who got the sign-in page instead of the answer would repeat it. Once
// its answer begins, it has lateAnswer to complete; an application that never
// answers is bounded by timeouts.response. An answer that began before the end of
// the session, or that is a stream, is interrupted at once.
//
// cut is called repeatedly while the request is in flight.
func (a *activeRequest) cut(now time.Time) {
	stage := a.stage.Load()
	switch {
	case !a.changes, stage == isStream, !a.bodyRead():
	case stage == isAsked:
		a.late = true
		return
	case a.late && a.begun.IsZero():
		a.begun = now
		return
	case a.late && now.Sub(a.begun) < lateAnswer:
		return
	}
	a.breaker.Break()
}

// isSafe reports whether a method is safe: it changes nothing on the server (RFC
// 9110, 9.2.1).
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
