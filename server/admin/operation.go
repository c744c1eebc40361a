package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"gatehouse/config"
)

// An operation is one thing that an administrator can do: a call, a stream, or
// the backup.
type operation interface {
	// path returns the path, without the leading slash, at which the control
	// socket serves it.
	path() string
	// handler returns the handler that runs it on b for the control socket.
	handler(b *Backend) http.Handler
}

// A call is an operation with one response. Req and Resp are encoded as JSON.
type call[Req, Resp any] struct {
	name string
	run  func(b *Backend, ctx context.Context, q Req) (Resp, error)
}

// path implements operation.
func (c call[Req, Resp]) path() string { return c.name }

// do runs the operation: in this process for a local Admin, else on the server.
func (c call[Req, Resp]) do(ctx context.Context, a *Admin, q Req) (Resp, error) {
	if a.local != nil {
		return c.run(a.local, ctx, q)
	}
	return receive[Resp](ctx, a.remote, c.name, q)
}

// handler answers 200 with the response, or 409 with a failure.
func (c call[Req, Resp]) handler(b *Backend) http.Handler {
	return handle(func(w http.ResponseWriter, r *http.Request, q Req) {
		resp, err := c.run(b, r.Context(), q)
		if err != nil {
			writeFailure(w, http.StatusConflict, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(resp) // the client has left: nobody to tell
	})
}

// A stream is an operation whose response is any number of items. They are sent
// and read one at a time, so a million sessions need no memory on either side.
type stream[Req, Item any] struct {
	name string
	run  func(b *Backend, ctx context.Context, q Req) iter.Seq2[Item, error]
}

// path implements operation.
func (s stream[Req, Item]) path() string { return s.name }

// do runs the operation: in this process for a local Admin, else on the server.
// Nothing happens before the caller begins to iterate.
func (s stream[Req, Item]) do(ctx context.Context, a *Admin, q Req) iter.Seq2[Item, error] {
	if a.local != nil {
		return s.run(a.local, ctx, q)
	}
	return receiveAll[Item](ctx, a.remote, s.name, q)
}

// handler sends one JSON object a line. The status is sent with the first item,
// so an error can only be a last line: see failure.
func (s stream[Req, Item]) handler(b *Backend) http.Handler {
	return handle(func(w http.ResponseWriter, r *http.Request, q Req) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		enc := json.NewEncoder(w)
		for item, err := range s.run(b, r.Context(), q) {
			if err != nil {
				_ = enc.Encode(failureOf(err))
				return
			}
			if enc.Encode(item) != nil {
				return
			}
		}
	})
}

// protocol is the version of the wire format: the paths, and the JSON of requests
// and responses. Raise it when a program of the previous version would
// misunderstand this one. Both sides send it in the header; a program that sends
// none is taken for version 1.
const (
	protocol       = "1"
	protocolHeader = "Gatehouse-Control"
)

// maxRequest is how many bytes of a request the control socket reads.
const maxRequest = 64 << 10

// Handler returns the handler of the control socket, for concurrent use. It
// speaks HTTP: POST /noun.verb with a JSON object. The response is a JSON object,
// one object a line, or the bytes of a backup; a failure has another status than
// 200, or is the last line of a stream.
//
// It asks for no credentials: whoever can open the socket may do everything.
// Serve it only on a unix socket of mode 0600 in a folder of mode 0700.
func Handler(b *Backend) http.Handler {
	mux := http.NewServeMux()
	for _, o := range served() {
		mux.Handle("POST /"+o.path(), o.handler(b))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(protocolHeader, protocol)
		if v := r.Header.Get(protocolHeader); v != "" && v != protocol {
			writeFailure(w, http.StatusBadRequest, errOtherVersion)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// errOtherVersion is returned if the command and the running server are of
// different versions that do not understand each other.
var errOtherVersion = errors.New("the running server is of another version than this command; restart it, so that both are the same program")

// handle returns a handler that decodes the JSON of the request and calls f with
// it. A request that cannot be decoded is answered with 400, and f is not called.
// An unknown field is an error: what is not understood must not be ignored
// silently.
func handle[Req any](f func(w http.ResponseWriter, r *http.Request, q Req)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q Req
		dec := json.NewDecoder(io.LimitReader(r.Body, maxRequest))
		dec.DisallowUnknownFields() // what is not understood must not be left out silently
		if err := dec.Decode(&q); err != nil {
			err = fmt.Errorf("read request: %w", err)
			if strings.Contains(err.Error(), "json: unknown field") { // encoding/json has no type for it
				err = fmt.Errorf("%w (%w)", errOtherVersion, err)
			}
			writeFailure(w, http.StatusBadRequest, err)
			return
		}
		f(w, r, q)
	})
}

// A failure is the response of an operation that failed, and the last line of a
// stream that broke off. Its JSON begins with "error", which no item does; the
// client tells the two apart by that (failureStart).
type failure struct {
	Error     string           `json:"error"`
	NoUser    bool             `json:"no_user,omitempty"`
	NoSession bool             `json:"no_session,omitempty"`
	Exists    bool             `json:"exists,omitempty"`
	Problems  []config.Problem `json:"problems,omitempty"`
}

// writeFailure answers with the status code and err as a failure.
func writeFailure(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(failureOf(err)) // the client has left: nobody to tell
}

// failureOf returns err in the form in which it is sent. Of its type, only what
// callers distinguish is kept: the sentinels, and config.Problems.
func failureOf(err error) failure {
	f := failure{Error: err.Error(), NoUser: errors.Is(err, ErrNoUser), NoSession: errors.Is(err, ErrNoSession), Exists: errors.Is(err, ErrExists)}
	if ps, ok := errors.AsType[config.Problems](err); ok {
		f.Problems = ps
	}
	return f
}

// err returns the failure as an error that matches the same sentinels as the
// server's, so that callers treat both sides alike.
func (f failure) err() error {
	switch {
	case len(f.Problems) > 0:
		return config.Problems(f.Problems)
	case f.NoUser:
		return &operationError{f.Error, ErrNoUser}
	case f.NoSession:
		return &operationError{f.Error, ErrNoSession}
	case f.Exists:
		return &operationError{f.Error, ErrExists}
	default:
		return &operationError{f.Error, nil}
	}
}

// An operationError has a sentence for people as its text, and matches one of the
// sentinels with errors.Is.
type operationError struct {
	text string
	is   error // nil: none of them
}

func (e *operationError) Error() string { return e.text }
func (e *operationError) Unwrap() error { return e.is }
