package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gatehouse/internal/web"
)

// What a connection may hold without being counted is about what net/http allocates
// for it anyway. All sizes are in bytes.
const (
	freeHead     = 8 << 10  // of an incomplete head
	freeData     = 16 << 10 // of bodies
	freeRequests = 4        // with small heads, at the same time
	requestCost  = 16 << 10 // of each further one: a goroutine, buffers, a stream
	fieldCost    = 128      // of each header field, in addition to its bytes
	// maxData is what a client can send on one HTTP/2 connection before anything is
	// read (net/http: MaxUploadBufferPerConnection).
	maxData = 1 << 20
)

// A holding is the memory of one connection for requests that access rules have not
// decided on yet. What exceeds a free share counts against the budget. It is safe for
// concurrent use.
type holding struct {
	budget  *budget
	address netip.Addr // whose share of the budget it is; zero: that of no address

	mu        sync.Mutex
	head      int // bytes of an incomplete head
	data      int // bytes of bodies, over HTTP/2
	requests  int // cost of the complete ones
	running   int // handlers
	undecided int // of those, the ones whose requests have not been decided on
	counted   int // in the budget
}

// readHead counts n more bytes of a head. It reports false if that is too much: the
// connection must be closed then.
func (h *holding) readHead(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head += n
	return h.settle()
}

// headDone is called when the head has become a request, or never will.
func (h *holding) headDone() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head = 0
	h.settle()
}

// readData counts n more bytes of a body that came before its request was decided on.
// While all requests under way have been let through, bodies are not counted: they
// belong to those. It reports false if that is too much.
func (h *holding) readData(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running > 0 && h.undecided == 0 {
		return true
	}
	h.data = min(h.data+n, maxData)
	return h.settle()
}

// begin counts a request whose head takes size bytes; 0: as many as were read. It
// returns the cost, for Release. ok is false if that is too much: the request must be
// refused. end must be called in either case.
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
		h.settle() // this takes nothing from the budget
		return 0, false
	}
	return cost, true
}

// Release implements web.Holder. It is called when a request has been let through, or
// answered.
func (h *holding) Release(cost int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests -= cost
	if h.undecided--; h.undecided == 0 {
		h.data = 0
	}
	h.settle()
}

// end is called after a handler has returned, and after Release.
func (h *holding) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
}

// clear gives everything back at the end of the connection.
func (h *holding) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head, h.data, h.requests = 0, 0, 0
	h.settle()
}

// settle updates the budget. It reports false, and leaves the budget as it is, if a
// limit would be exceeded.
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

// hold counts a request until info.LetThrough. It reports false if too much is held
// already.
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

// refuseAtOnce answers 503 to a request for which there is no room. It frees the
// header first, and bounds the write: a client that sends such requests may not take
// the answer either.
func refuseAtOnce(w http.ResponseWriter, r *http.Request) {
	clear(r.Header)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(refusalTime))
	h := w.Header()
	h.Set("Connection", "close")
	h.Set("Retry-After", "5")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// refusalTime bounds the write of such an answer.
const refusalTime = 5 * time.Second

// sizeOf estimates how much memory the head of a request takes, in bytes.
func sizeOf(r *http.Request) int {
	n := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + fieldCost
		}
	}
	return n
}
