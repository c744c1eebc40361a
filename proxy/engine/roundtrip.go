package engine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// A Response is an answer that was read by RoundTrip.
type Response struct {
	Status int
	Header http.Header // end-to-end fields
	Body   []byte
}

// RoundTrip sends a request of our own to an upstream, in the same way as those of
// clients, and reads the answer with up to limit bytes of its body. Redirects are not
// followed, and interim answers are ignored.
//
// r is as for Upstream.Forward, except that In, Breaker and the functions are not used.
// body is sent with its length; nil: no body.
//
// The Response is nil if there was no head of a final answer. A Response together with
// an error has an incomplete body: it broke off, or is longer than limit. The error is
// that of Forward, or the cause of ctx if that has ended.
func RoundTrip(ctx context.Context, up Upstream, r Request, body []byte, limit int) (*Response, error) {
	in, err := http.NewRequestWithContext(ctx, r.Method, "", bytes.NewReader(body))
	if err != nil {
		return nil, &Error{Kind: Invalid, Err: err}
	}
	out := Request{In: in, Method: r.Method, Target: r.Target, Host: r.Host, Header: r.Header, Member: r.Member, Owner: r.Owner, Shared: r.Shared}
	reader := &answerReader{header: http.Header{}, limit: limit}
	err = reader.forward(up, &out)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if reader.status == 0 {
		return nil, err
	}
	return &Response{Status: reader.status, Header: reader.header, Body: reader.body.Bytes()}, err
}

// An answerReader is the Visitor of a request of our own: it keeps the answer.
type answerReader struct {
	header http.Header
	status int // 0: no final head has come
	body   bytes.Buffer
	limit  int
	broke  error
}

// forward calls up.Forward, and returns an error where that panics.
func (a *answerReader) forward(up Upstream, r *Request) (err error) {
	r.Broke = func(e *Error) { a.broke = e }
	defer func() {
		switch v := recover(); {
		case v == nil:
		case v != http.ErrAbortHandler: //nolint:errorlint // what is thrown is that very value
			err = fmt.Errorf("panic: %v", v)
		case a.broke != nil:
			err = a.broke
		default:
			err = &Error{Kind: Truncated, Err: fmt.Errorf("the answer was not read to its end; %d bytes of it were", a.body.Len())}
		}
	}()
	return up.Forward(a, r)
}

// Header implements http.ResponseWriter.
func (a *answerReader) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answerReader) WriteHeader(status int) {
	if status >= http.StatusOK {
		a.status = status
	}
}

// Write implements http.ResponseWriter. An error ends the answer.
func (a *answerReader) Write(p []byte) (int, error) {
	n, _ := a.body.Write(p[:min(len(p), a.limit-a.body.Len())])
	if n < len(p) {
		return n, errAnswerTooLong
	}
	return n, nil
}

const errAnswerTooLong = answerError("it is longer than anybody wants to read")

// What follows has no meaning where there is no connection of a client.

func (a *answerReader) FlushError() error                { return nil }
func (a *answerReader) SetReadDeadline(time.Time) error  { return nil }
func (a *answerReader) SetWriteDeadline(time.Time) error { return nil }
func (a *answerReader) SetReason(int, string)            {}
func (a *answerReader) AbandonBody()                     {}

// Hijack implements Visitor. RoundTrip never asks for an upgrade.
func (a *answerReader) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}
