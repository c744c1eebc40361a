package web

import (
	"net/http"
	"time"
)

const (
	lingerStall = 10 * time.Second // for a visitor who sends nothing
	lingerTime  = 60 * time.Second // in all
	lingerPace  = 64 << 10         // bytes that are worth a second more
	lingerFrom  = 256 << 10        // what net/http itself reads of a body before it answers
)

// Linger prepares an answer to a request whose body nobody wants; after is to
// be called once the answer has been written.
//
// Over HTTP/1 browsers send all of a form before they look at the answer, and
// net/http closes the connection behind one while more than 256 KiB are to come:
// in place of the answer they show an error of the connection. So the answer
// goes out, and the rest is read (RFC 9112, 9.6) within bounds: for stall, and
// longer while it comes in at 64 KiB a second, up to a minute.
//
// A body that waits for 100 (Continue) is not asked for.
func Linger(w http.ResponseWriter, r *http.Request, stall time.Duration) (after func()) {
	small := 0 <= r.ContentLength && r.ContentLength < lingerFrom
	if r.ProtoMajor != 1 || small || r.Body == nil || len(r.Header["Expect"]) > 0 {
		return func() {}
	}
	rc := http.NewResponseController(w)
	if rc.EnableFullDuplex() != nil {
		return func() {}
	}
	w.Header().Set("Connection", "close")
	return func() {
		if rc.Flush() == nil {
			readOn(rc, r, stall)
		}
	}
}

func readOn(rc *http.ResponseController, r *http.Request, stall time.Duration) {
	begin, total := time.Now(), 0
	for b := make([]byte, 16<<10); time.Since(begin) < lingerTime; {
		patience := min(stall+time.Duration(total/lingerPace)*time.Second, lingerTime)
		if rc.SetReadDeadline(begin.Add(patience)) != nil {
			return
		}
		n, err := r.Body.Read(b)
		if err != nil {
			return // it has ended, or broken off, or the time is up
		}
		total += n
	}
}
