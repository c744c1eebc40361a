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

// WellFormed returns an error if a request is malformed in a way that net/http lets
// pass; else nil. It may change r: where an HTTP/2 request announces the length of
// its body, reading the body fails if that length is not true.
//
// An HTTP/2 request that contradicts itself is malformed (RFC 9113, 8.1.1): its
// content-length is no number, stands there twice or in a list, or is not the length
// of the body, or its host differs from :authority (8.3.1). The error is a 400. An
// Expect of anything but 100-continue is a 417 on every protocol (RFC 9110, 10.1.1).
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

// holdToLength refuses a length that cannot be true, and makes r.Body fail where the
// announced one turns out to be wrong. A length of 0 is checked at once, because
// nobody reads such a body later.
func holdToLength(w http.ResponseWriter, r *http.Request, lengths []string) error {
	// net/http takes a length that it cannot parse for 0, and ContentLength is 0 where
	// the stream ended with the header.
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

// An exactBody is the body of an HTTP/2 request that announced its length. Read
// returns the last bytes only when the stream has ended behind them, so that a
// reader never takes a body for complete that is longer than announced.
type exactBody struct {
	io.ReadCloser
	left int64 // bytes of the announced length that are to come
	err  error // what every further Read returns; nil: there is more
}

var errBodyLength = errors.New("the body is not as long as its content-length says")

// Read implements io.Reader. It returns io.EOF together with the last bytes.
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

// end waits for the end of the stream. It returns io.EOF when that comes, and another
// error when more bytes come or the stream breaks off.
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
