package proxy

import (
	"net/http"
	"time"
)

// unreadTime is how long a client may take to send a body that nobody reads.
// After a refusal net/http reads on to find the next request, and without a
// deadline it would wait for a slow body forever.
const unreadTime = 10 * time.Second

// armBodyDeadline bounds how long the body of r may take, until
// clearBodyDeadline.
func armBodyDeadline(w http.ResponseWriter, r *http.Request, d time.Duration) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
	}
}

// clearBodyDeadline takes the deadline back, before the engine sets its own for
// each part of the body.
func clearBodyDeadline(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
}
