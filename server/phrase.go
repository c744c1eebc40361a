package server

import (
	"bytes"
	"io"
	"strconv"
	"sync/atomic"
)

// A phrase replaces the reason phrase of the next status line, which some old
// clients evaluate. net/http always writes its own phrase for a status, so the
// replacement happens where the head of the response is written to the
// connection. The zero value replaces nothing.
type phrase struct {
	next atomic.Pointer[statusLine]
}

// A statusLine is a status and the reason phrase to send with it.
type statusLine struct{ status, reason []byte }

// set makes the next response with this status have the reason phrase. It
// replaces what was set before.
func (p *phrase) set(status int, reason string) {
	p.next.Store(&statusLine{status: strconv.AppendInt(nil, int64(status), 10), reason: []byte(reason)})
}

// write writes b, which begins with a status line of net/http, with the reason
// phrase that was set. Like io.Writer it returns how many bytes of b were
// written, regardless of the length of the phrase. A response with another status
// is left alone, and the phrase waits for the next one: interim responses come
// first.
func (p *phrase) write(to io.Writer, b []byte) (int, error) {
	next := p.next.Load()
	if next == nil {
		return to.Write(b) //nolint:wrapcheck // net/http looks at it
	}
	out := next.put(b)
	if out == nil {
		return to.Write(b) //nolint:wrapcheck // net/http looks at it
	}
	p.next.Store(nil)
	if _, err := to.Write(out); err != nil {
		return 0, err //nolint:wrapcheck // net/http looks at it
	}
	return len(b), nil
}

// put returns head with the reason phrase, or nil if head is that of a response
// with another status.
func (l *statusLine) put(head []byte) []byte {
	line, rest, ok := bytes.Cut(head, []byte("\r\n"))
	version, status, spaced := bytes.Cut(line, []byte(" "))
	if !ok || !spaced || !bytes.HasPrefix(version, []byte("HTTP/1.")) || !bytes.HasPrefix(status, l.status) {
		return nil
	}
	return bytes.Join([][]byte{version, []byte(" "), l.status, []byte(" "), l.reason, []byte("\r\n"), rest}, nil)
}
