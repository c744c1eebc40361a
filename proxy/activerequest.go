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

// lateAnswer is how long an answer may go on that began after the end of its
// session.
const lateAnswer = 10 * time.Second

// The stages of a request that is being forwarded.
const (
	isAsked    int32 = iota // the upstream has not answered yet
	isAnswered              // the final answer has begun
	isStream                // it has, and is an event stream; or the protocol was switched
)

// An activeRequest is a request that is being forwarded, as far as the end of
// its session and the session's idle time are concerned. The goroutine that
// serves the request and the engine write to it while ActiveRequests looks at
// it from outside; that costs one atomic step for each piece of a body.
type activeRequest struct {
	session    *sessions.Info // nil: nobody is signed in, and nothing is measured
	prev, next *activeRequest // of the same session; guarded by ActiveRequests.mu
	breaker    engine.Canceler

	activity  *activity
	isUse     bool // the request is a use of the session, so what moves may be too
	changes   bool // its method may change something (RFC 9110, 9.2.1)
	webSocket bool // it asks for a WebSocket

	stage  atomic.Int32
	sent   atomic.Int64  // bytes from the client that are a use
	read   atomic.Int64  // bytes of the body that were read
	ended  atomic.Bool   // the body was read to its end
	got    *web.Recorder // what the client got; nil: not known
	length int64         // of the body; -1: not known
	body   meteredBody
	frames frameReader // of a WebSocket, from the client

	// Guarded by ActiveRequests.mu:
	counted int64     // bytes that had moved when it looked last
	late    bool      // the session ended before the answer began
	begun   time.Time // when the late answer was first seen to have begun
}

// A meteredBody is a request's body that reports what is read from it.
type meteredBody struct {
	io.ReadCloser
	a *activeRequest
}

// Read reads from the body and counts the bytes.
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

// begin begins to measure what the client of r sends and gets, if id is
// somebody. isUse says whether the request is a use of their session.
func (a *activeRequest) begin(w http.ResponseWriter, r *http.Request, id *auth.Identity, isUse bool, policy *activity) {
	a.activity = policy
	if !id.HasSession() {
		return // no end of a session concerns it
	}
	a.session, a.isUse = &id.Session, isUse
	a.got, _ = w.(*web.Recorder)
	a.length, a.changes = r.ContentLength, !isSafe(r.Method)
	if r.Body != nil && r.Body != http.NoBody && a.length != 0 {
		a.body = meteredBody{r.Body, a}
		r.Body = &a.body
	}
}

// bodyRead reports whether nothing of the body is left to read.
func (a *activeRequest) bodyRead() bool {
	return a.length == 0 || a.ended.Load() || a.length > 0 && a.read.Load() >= a.length
}

// noteProgress is the answer filter that notes how far the answer is. An event
// stream is told apart because it goes on with nobody in front of it.
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

// spoke is told by the engine what the client sends over a connection that has
// switched protocols.
func (a *activeRequest) spoke(p []byte) {
	switch {
	case !a.activity.sockets:
	case a.webSocket:
		a.sent.Add(a.frames.follow(p))
	default:
		a.sent.Add(int64(len(p)))
	}
}

// moved returns how many bytes have moved that are a use of the session.
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

// cut breaks the request off because its session has ended. now is the time.
//
// A request that may change something, and that had arrived as a whole before
// the session ended, goes on: the application does what was asked for anyway,
// and a person who got the login page instead of the answer would ask again.
// Its answer, once begun, has lateAnswer to end; an application that never
// answers is bounded by timeouts.response. An answer that began before the
// end, or that is a stream, is cut at once.
//
// cut is called again for as long as the request is under way.
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

// isSafe reports whether a method changes nothing (RFC 9110, 9.2.1).
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
