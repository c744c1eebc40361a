package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gatehouse/internal/web"
)

// What a connection may hold without being counted, which is about what net/http
// allocates for it anyway, and what requests cost beyond that. Sizes are in
// bytes.
const (
	freeHead     = 8 << 10  // of an incomplete head
	freeData     = 16 << 10 // of bodies
	freeRequests = 4        // with small heads, at the same time
	requestCost  = 16 << 10 // of each further one: a goroutine, buffers, a stream
	fieldCost    = 128      // of each header field, in addition to its bytes
	// maxData is what a client can send on one HTTP/2 connection before anything
	// is read from it: the flow-control window (MaxReceiveBufferPerConnection).
	maxData = 1 << 20
)

// A holding is the memory of one connection for requests on which access rules
// have not decided yet. What exceeds the free share counts against the budget. It
// is safe for concurrent use.
type holding struct {
	budget  *budget
	address netip.Addr // whose share of the budget it uses; zero: only the total counts

	mu        sync.Mutex
	head      int // bytes of an incomplete head
	data      int // bytes of bodies, over HTTP/2
	requests  int // cost of the requests whose heads are complete
	running   int // handlers that run
	undecided int // handlers that run and whose requests have not been decided on
	counted   int // bytes that the budget counts for this connection
}

// readHead counts n more bytes of a head. It returns false if that is too much;
// the connection must be closed then.
func (h *holding) readHead(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head += n
	return h.settle()
}

// headDone is called when the head has become a request, or when it never will.
func (h *holding) headDone() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head = 0
	h.settle()
}

// readData counts n more bytes of a body that arrived before its request was
// decided on. While all requests under way have been let through, bodies are not
// counted: they belong to those requests. It returns false if that is too much;
// the connection must be closed then.
func (h *holding) readData(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running > 0 && h.undecided == 0 {
		return true
	}
	// Flow control lets a client have at most maxData unread at the same time.
	h.data = min(h.data+n, maxData)
	return h.settle()
}

// begin counts a request whose head takes size bytes; 0 means as many as were
// read. It returns the cost, which Release takes back. If that is too much, ok is
// false and the request must be refused, without Release. The caller calls end in
// either case.
func (h *holding) begin(size int) (cost int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// Over HTTP/1, readHead has counted the bytes of the head; they become a part
	// of the cost of the request.
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
		h.settle() // cannot fail: it takes nothing from the budget
		return 0, false
	}
	return cost, true
}

// Release implements web.Holder. It is called once for each request that begin
// has admitted, when the request has been let through or answered.
func (h *holding) Release(cost int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests -= cost
	if h.undecided--; h.undecided == 0 {
		h.data = 0
	}
	h.settle()
}

// end is called after the handler of a request has returned, and after Release.
func (h *holding) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
}

// clear returns everything to the budget when the connection ends.
func (h *holding) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head, h.data, h.requests = 0, 0, 0
	h.settle()
}

// settle makes the budget count what is held now. If that would exceed a limit,
// it returns false and leaves the budget as it is. h.mu must be held.
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

// hold counts a request until info.LetThrough is called. It returns false, and
// counts nothing, if too much is held already. The caller calls holding.end in
// either case.
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

// refuseAtOnce answers 503 with an empty body and closes the connection. It is
// for a request for which there is no room: it frees the request's header first,
// and bounds the write, since a client that sends such requests may not read the
// response either.
func refuseAtOnce(w http.ResponseWriter, r *http.Request) {
	clear(r.Header)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(refusalTime))
	h := w.Header()
	h.Set("Connection", "close")
	h.Set("Retry-After", "5")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// refusalTime bounds the write of such a response.
const refusalTime = 5 * time.Second

// sizeOf estimates how many bytes of memory the head of a request takes. Over
// HTTP/2 the bytes that were read say little, because they are compressed
// (HPACK).
func sizeOf(r *http.Request) int {
	n := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + fieldCost
		}
	}
	return n
}
