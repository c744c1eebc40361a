package web

import (
	"net/http"
	"time"
)

const (
	lingerStall = 10 * time.Second // how long a visitor may send nothing
	lingerTime  = 60 * time.Second // how long it may take in all
	lingerPace  = 64 << 10         // the bytes that buy a second more
	lingerFrom  = 256 << 10        // what net/http reads of a body by itself
)

// Linger prepares an answer to a request whose body is not wanted. The caller must
// call after when the answer has been written.
//
// Over HTTP/1 browsers send all of a form before they read the answer, and net/http
// closes the connection behind an answer while more than 256 KiB of the body are to
// come: browsers then show a connection error in place of the answer. So after
// flushes the answer and reads and drops the rest of the body (RFC 9112, 9.6), for
// the time stall, and longer while 64 KiB a second come in, up to a minute.
//
// It does nothing for a body that waits for 100 (Continue): it is never sent.
//
// It is for answers of our own, in handlers that have not begun to read the body.
// When an application answers in the middle of a body, the handler cannot read the
// rest, and the connection itself stays open for a while (server: lingerThenClose).
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

// readOn drops the body until it ends or its time is up.
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
