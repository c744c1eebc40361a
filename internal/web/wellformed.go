package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WellFormed reports what is wrong with a request although net/http let it
// pass; nil if nothing is. It may change r: a body of HTTP/2 whose length was
// announced is held to that length, and fails where it is not true.
//
// An HTTP/2 request that contradicts itself is malformed (RFC 9113, 8.1.1):
// with a content-length that is no number, that is there twice or in a list, or
// that is not the length of the body, or with a host that differs from
// :authority (8.3.1). The error is a 400. An Expect that holds anything but
// 100-continue is a 417 on every protocol (RFC 9110, 10.1.1).
func WellFormed(w http.ResponseWriter, r *http.Request) error {
	for _, line := range r.Header["Expect"] {
		for part := range strings.SplitSeq(line, ",") {
			if part = strings.Trim(part, " \t"); part != "" && !strings.EqualFold(part, "100-continue") {
				return Refuse(http.StatusExpectationFailed, "")
			}
		}
	}
	if r.ProtoMajor != 2 {
		return nil
	}
	if hosts, ok := r.Header["Host"]; ok {
		if len(hosts) != 1 || !strings.EqualFold(hosts[0], r.Host) {
			return Refuse(http.StatusBadRequest, "")
		}
		delete(r.Header, "Host") // as net/http does over HTTP/1: it stands in r.Host
	}
	if lengths, ok := r.Header["Content-Length"]; ok {
		return holdToLength(w, r, lengths)
	}
	return nil
}

// holdToLength refuses lengths that cannot be true, and has r.Body fail where
// the one that is there turns out not to be. An announced 0 is looked at once:
// nobody reads such a body later.
func holdToLength(w http.ResponseWriter, r *http.Request, lengths []string) error {
	// net/http counts a length that it cannot read as 0, and says 0 where the
	// stream ended with the header.
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	if len(lengths) != 1 || err != nil || int64(n) != r.ContentLength {
		return Refuse(http.StatusBadRequest, "")
	}
	body := &exactBody{ReadCloser: r.Body, left: r.ContentLength}
	if r.ContentLength > 0 {
		r.Body = body
		return nil
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(emptyBodyTime))
	if err := body.end(); err != io.EOF { //nolint:errorlint // only the bare one is an end
		return Refuse(http.StatusBadRequest, "")
	}
	_ = rc.SetReadDeadline(time.Time{})
	return nil
}

// emptyBodyTime is how long the end of an HTTP/2 body of no bytes may take.
const emptyBodyTime = 10 * time.Second

// An exactBody is the body of an HTTP/2 request that announced its length. It
// gives the last bytes only when the stream has ended behind them: whoever
// reads it never takes for whole what goes on, and so is malformed.
type exactBody struct {
	io.ReadCloser
	left int64 // of what was announced
	err  error // what every Read says from now on; nil: there is more
}

var errBodyLength = errors.New("the body is not as long as its content-length says")

// Read serves io.Reader. It returns io.EOF together with the last bytes.
func (b *exactBody) Read(p []byte) (n int, err error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err = b.ReadCloser.Read(p)
	b.left -= int64(n)
	if err == nil && b.left == 0 {
		err = b.end()
	}
	switch {
	case err == nil && b.left > 0:
		return n, nil
	case err == io.EOF && b.left == 0: //nolint:errorlint // only the bare one is an end
		b.err = io.EOF
		return n, b.err
	case err == nil, err == io.EOF: //nolint:errorlint // as above
		err = errBodyLength
	}
	b.err = fmt.Errorf("read HTTP/2 body: %w", err)
	return 0, b.err
}

// end waits for the end of the stream. It returns io.EOF for that, and
// another error when more bytes come.
func (b *exactBody) end() error {
	var one [1]byte
	for {
		n, err := b.ReadCloser.Read(one[:])
		switch {
		case n > 0:
			return errBodyLength
		case err != nil:
			return err
		}
	}
}
