package proxy

import (
	"net/http"
	"time"
)

// unreadTime is how long a client may take to send a body that nobody reads. After
// a refusal net/http discards the body to get to the next request, and without a
// deadline it would wait for a slow client forever.
const unreadTime = 10 * time.Second

// armBodyDeadline sets a deadline, d from now, for reading the body of r. It
// applies until clearBodyDeadline.
func armBodyDeadline(w http.ResponseWriter, r *http.Request, d time.Duration) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
	}
}

// clearBodyDeadline clears the deadline. It must be called before the engine reads
// the body, because the engine sets a deadline for each read.
func clearBodyDeadline(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
}
