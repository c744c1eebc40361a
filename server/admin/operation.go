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
	// path is where the control socket serves it.
	path() string
	// handler serves it over the control socket with what b does.
	handler(b *Backend) http.Handler
}

// A call is an operation with one response. Both types have a JSON form.
type call[Req, Resp any] struct {
	name string
	run  func(b *Backend, ctx context.Context, q Req) (Resp, error)
}

func (c call[Req, Resp]) path() string { return c.name }

// do runs the operation where a is.
func (c call[Req, Resp]) do(ctx context.Context, a *Admin, q Req) (Resp, error) {
	if a.local != nil {
		return c.run(a.local, ctx, q)
	}
	return receive[Resp](ctx, a.remote, c.name, q)
}

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

// A stream is an operation whose response is any number of items, which are
// sent and read one at a time: a million sessions need no memory on either
// side.
type stream[Req, Item any] struct {
	name string
	run  func(b *Backend, ctx context.Context, q Req) iter.Seq2[Item, error]
}

func (s stream[Req, Item]) path() string { return s.name }

// do runs the operation where a is. Nothing happens before the first item is
// asked for.
func (s stream[Req, Item]) do(ctx context.Context, a *Admin, q Req) iter.Seq2[Item, error] {
	if a.local != nil {
		return s.run(a.local, ctx, q)
	}
	return receiveAll[Item](ctx, a.remote, s.name, q)
}

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

// protocol is the version of the wire format: the paths, and the JSON of
// requests and responses. Raise it when a program of the version before would
// misunderstand this one. It is sent in both directions; a program that sends
// none speaks version 1.
const (
	protocol       = "1"
	protocolHeader = "Gatehouse-Control"
)

// maxRequest bounds the bytes of a request that the control socket reads.
const maxRequest = 64 << 10

// Handler returns the handler of the control socket. It speaks HTTP: POST
// /noun.verb with a JSON object, answered by a JSON object, by one object a
// line, or by the bytes of a backup.
//
// It asks for no credentials. Whoever can open the socket may do everything,
// so it belongs on a socket of mode 0600 in a folder of mode 0700.
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

// errOtherVersion is returned if the command line and the running server are
// programs of different versions that do not understand each other.
var errOtherVersion = errors.New("the running server is of another version than this command; restart it, so that both are the same program")

// handle decodes the request for f, and answers for f if it cannot be decoded.
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

// A failure is the response of an operation that failed, and the last line of
// a stream that broke off. "error" comes first and no item has it, so that the
// two can be told apart.
type failure struct {
	Error     string           `json:"error"`
	NoUser    bool             `json:"no_user,omitempty"`
	NoSession bool             `json:"no_session,omitempty"`
	Exists    bool             `json:"exists,omitempty"`
	Problems  []config.Problem `json:"problems,omitempty"`
}

func writeFailure(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(failureOf(err)) // the client has left: nobody to tell
}

func failureOf(err error) failure {
	f := failure{Error: err.Error(), NoUser: errors.Is(err, ErrNoUser), NoSession: errors.Is(err, ErrNoSession), Exists: errors.Is(err, ErrExists)}
	if ps, ok := errors.AsType[config.Problems](err); ok {
		f.Problems = ps
	}
	return f
}

// err is the failure as the error that it was on the other side, as far as
// callers tell errors apart.
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

// An operationError is a sentence for people that errors.Is finds to be one of
// the sentinels.
type operationError struct {
	text string
	is   error // nil: none of them
}

func (e *operationError) Error() string { return e.text }
func (e *operationError) Unwrap() error { return e.is }
