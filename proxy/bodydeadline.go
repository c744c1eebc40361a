package proxy

import (
	"net/http"
	"time"
)

// unreadTime is how long a visitor may take for a body that nobody wants:
// net/http reads on after a refusal, to find the next request, and would wait
// for a slow one for ever.
const unreadTime = 10 * time.Second

// armBodyDeadline bounds how long a body may take until somebody asks for it.
func armBodyDeadline(w http.ResponseWriter, r *http.Request, d time.Duration) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
	}
}

// clearBodyDeadline ends that: from now on the engine bounds how long the visitor may
// stall.
func clearBodyDeadline(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
}
