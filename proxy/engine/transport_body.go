package engine

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A transportBody is the request's body as Transport reads it: on a goroutine that may
// outlive RoundTrip. Its reads must not outlive Forward, because net/http reuses the
// visitor's connection after the handler has returned; requestBody.stop ends them.
//
// It also enforces the response timeout while the body is sent. Transport's own begins
// only after the whole body has been written, which never happens if the upstream stops
// accepting it. So between two Reads a timer runs: the time in which Transport asks for
// nothing is the upstream's, the time within a Read is the visitor's.
type transportBody struct {
	body     *requestBody
	trailer  http.Header   // announced names; Read sets the values at the end. nil: none
	response time.Duration // Timeouts.Response; 0: no limit
	giveUp   func()        // cancels the request; set before the first Read
	late     atomic.Bool   // giveUp was called: the upstream neither accepted the body nor answered in time

	mu     sync.Mutex  // guards what follows
	asking bool        // a Read is under way
	closed bool        // Transport has called Close
	over   bool        // RoundTrip has returned: the timeout no longer applies
	timer  *time.Timer // calls lose; nil: not started yet
}

// newTransportBody returns the body of r for Transport. Only a body of unknown length
// can have trailers; Transport has to know their names before it sends the head.
func newTransportBody(body *requestBody, r *Request, response time.Duration) *transportBody {
	b := &transportBody{body: body, response: response}
	if body.length < 0 {
		for _, name := range trailerNames(r) {
			if b.trailer == nil {
				b.trailer = http.Header{}
			}
			b.trailer[name] = nil
		}
	}
	return b
}

// Read implements io.Reader. It sets the trailers before it returns the end, as
// http.Request.Trailer demands. A panic of the visitor's body becomes the error of the
// Read.
func (b *transportBody) Read(p []byte) (n int, err error) {
	b.stopTimer()
	defer b.startTimer()
	defer func() {
		if v := recover(); v != nil { // nobody guards Transport's goroutine
			n, err = 0, b.body.panicked(v)
		}
	}()
	n, err = b.body.read(p)
	if b.body.whole.Load() {
		for name := range b.trailer {
			b.trailer[name] = b.body.in.Trailer[name]
		}
	}
	return n, err
}

// Close implements io.Closer. Transport calls it when it needs no more of the body. It
// interrupts a Read that is under way, for whose end Transport waits over HTTP/2.
func (b *transportBody) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.body.close()
	return nil
}

// stopTimer is called at the begin of a Read: from now on the visitor is waited for.
func (b *transportBody) stopTimer() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asking = true
	if b.timer != nil {
		b.timer.Stop()
	}
}

// startTimer is called at the end of a Read: from now on the upstream is waited for.
func (b *transportBody) startTimer() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asking = false
	switch {
	case b.over || b.closed || b.response == 0:
	case b.timer == nil:
		b.timer = time.AfterFunc(b.response, b.lose)
	default:
		b.timer.Reset(b.response)
	}
}

// lose gives up on an upstream that neither accepts the body nor answers. It checks the
// state once more, because a timer may fire although it has just been stopped.
func (b *transportBody) lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.asking && !b.over {
		b.late.Store(true)
		b.giveUp()
	}
}

// answered ends the timeout. It is called when RoundTrip has returned, with the head of
// an answer or an error.
func (b *transportBody) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.timer != nil {
		b.timer.Stop()
	}
}
