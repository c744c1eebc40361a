package engine

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A transportBody is the visitor's body as Transport reads it: on a goroutine
// that may outlive RoundTrip, but must not outlive Forward, because net/http uses
// the connection again after the handler has returned. requestBody.stop ends it.
type transportBody struct {
	body     *requestBody
	trailer  http.Header   // announced names; the values come with the end
	response time.Duration // Timeouts.Response
	giveUp   func()        // ends the request
	late     atomic.Bool   // the upstream took nothing of the body for too long, and did not answer

	mu     sync.Mutex
	asking bool        // a Read is under way
	closed bool        // Transport asks for no more
	over   bool        // there is an answer, which may take its time, or there will be none
	timer  *time.Timer // gives up when nothing is asked for
}

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

// Read implements io.Reader.
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

// Close implements io.Closer. Transport calls it when it needs no more of the
// body, and over HTTP/2 then waits for a Read that is under way.
func (b *transportBody) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.body.close()
	return nil
}

func (b *transportBody) stopTimer() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asking = true
	if b.timer != nil {
		b.timer.Stop()
	}
}

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

// lose gives up on an upstream that neither takes the body nor answers.
func (b *transportBody) lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.asking && !b.over {
		b.late.Store(true)
		b.giveUp()
	}
}

// answered is called when the head of the answer is there, or none will be.
func (b *transportBody) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.timer != nil {
		b.timer.Stop()
	}
}
