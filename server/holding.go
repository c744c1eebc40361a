package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gatehouse/internal/web"
)

// What a connection may hold without its being counted is about what net/http
// keeps for it anyway.
const (
	freeHead     = 8 << 10  // of a head that is not whole
	freeData     = 16 << 10 // of bodies
	freeRequests = 4        // with small heads, at a time
	requestCost  = 16 << 10 // of any further one: a goroutine, buffers, a stream
	fieldCost    = 128      // of each header field, beside its bytes
	// Nobody can send more ahead of whoever reads it on one HTTP/2 connection
	// (net/http: MaxUploadBufferPerConnection).
	maxData = 1 << 20
)

// A holding is what one connection holds in memory for requests that have not
// been judged. What is beyond a free share counts in the budget.
type holding struct {
	budget  *budget
	address netip.Addr // whose share it is; the zero value: nobody's

	mu        sync.Mutex
	head      int // bytes of a head that is not whole
	data      int // bytes of bodies, over HTTP/2
	requests  int // what those that are whole cost
	running   int // handlers
	undecided int // of those, the ones whose requests have not been judged
	counted   int // in the budget
}

// readHead counts n bytes more of a head. It reports false where that is too
// much: the connection cannot go on then.
func (h *holding) readHead(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head += n
	return h.settle()
}

// headDone says that the head is a request now, or never will be.
func (h *holding) headDone() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head = 0
	h.settle()
}

// readData counts n bytes of a body that are there before anybody may have
// them. While all requests under way have been let through, bodies are theirs.
func (h *holding) readData(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running > 0 && h.undecided == 0 {
		return true
	}
	h.data = min(h.data+n, maxData)
	return h.settle()
}

// begin counts a request whose head is whole and takes size bytes; 0: as many
// as were read of it. It returns what that costs. ok is false where it is too
// much: the request must be refused. end must be called in either case.
func (h *holding) begin(size int) (cost int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if size == 0 {
		size, h.head = h.head, 0
	}
	h.running++
	h.undecided++
	cost = max(0, size-freeHead)
	if h.running > freeRequests {
		cost += requestCost
	}
	h.requests += cost
	if !h.settle() {
		h.requests -= cost
		h.undecided--
		h.settle() // what is less than before always fits
		return 0, false
	}
	return cost, true
}

// Release serves web.Holder: a request has been let through, or answered.
func (h *holding) Release(cost int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests -= cost
	if h.undecided--; h.undecided == 0 {
		h.data = 0
	}
	h.settle()
}

// end is called when a handler has returned, after Release.
func (h *holding) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
}

// clear gives everything back: the connection has ended.
func (h *holding) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head, h.data, h.requests = 0, 0, 0
	h.settle()
}

// settle brings the budget up to date. It reports false, and leaves the budget
// as it is, where that would be over a limit.
func (h *holding) settle() bool {
	now := max(0, h.head-freeHead) + max(0, h.data-freeData) + h.requests
	switch more := now - h.counted; {
	case more > 0 && !h.budget.take(h.address, int64(more)):
		return false
	case more < 0:
		h.budget.give(h.address, int64(-more))
	}
	h.counted = now
	return true
}

// hold counts a request until info.LetThrough. It reports false where too much
// is held already.
func (c *visitor) hold(info *web.Info, r *http.Request) bool {
	size := 0
	if r.ProtoMajor == 2 {
		size = sizeOf(r)
	}
	cost, ok := c.holding.begin(size)
	if ok {
		info.Hold(&c.holding, cost)
	}
	return ok
}

// refuseAtOnce answers a request for which there is no room, and lets go of it
// first: whoever sends such requests need not take the answer either.
func refuseAtOnce(w http.ResponseWriter, r *http.Request) {
	clear(r.Header)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(refusalTime))
	h := w.Header()
	h.Set("Connection", "close")
	h.Set("Retry-After", "5")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// refusalTime is how long such an answer is offered.
const refusalTime = 5 * time.Second

// sizeOf is what the head of a request takes in memory, about.
func sizeOf(r *http.Request) int {
	n := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + fieldCost
		}
	}
	return n
}
