package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"
)

// A Recorder is our only wrapper of http.ResponseWriter. It records the final status
// and counts the bytes of the body. It keeps the optional methods of what it wraps
// (Unwrap, Flush, Hijack, ReadFrom), so handlers need not know about it.
type Recorder struct {
	http.ResponseWriter
	Status   int // 0 until the final status is written
	bytes    atomic.Int64
	Hijacked bool // the connection was taken over, for an upgrade
}

// Bytes returns how many bytes of the body have been written so far. Any goroutine may
// call it, also while the handler runs.
func (r *Recorder) Bytes() int64 { return r.bytes.Load() }

// Unwrap implements what http.ResponseController looks for.
func (r *Recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader notes the status. A 1xx is not the answer yet, except for 101.
func (r *Recorder) WriteHeader(code int) {
	if r.Status == 0 && (code >= 200 || code == http.StatusSwitchingProtocols) {
		r.Status = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write counts the body.
func (r *Recorder) Write(b []byte) (int, error) {
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes.Add(int64(n))
	return n, err
}

// ReadFrom implements io.ReaderFrom, so that large bodies can go from socket to socket
// (splice).
func (r *Recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	n, err := io.Copy(r.ResponseWriter, src)
	r.bytes.Add(n)
	return n, err
}

// Flush sends what is buffered. An error shows at the next Write.
func (r *Recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

// Hijack implements http.Hijacker. The status is 101 unless one was written before.
func (r *Recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take over the connection: %w", err)
	}
	r.Hijacked = true
	if r.Status == 0 {
		r.Status = http.StatusSwitchingProtocols
	}
	return c, rw, nil
}

// Done is called once for each request when it has ended, with what was recorded and
// how long the request took. rec.Status is 0 if nothing was written.
type Done func(r *http.Request, rec *Recorder, took time.Duration)

// RecordAnswer wraps the http.ResponseWriter into a Recorder, and calls each of done
// when the handler has returned or panics.
func RecordAnswer(done ...Done) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := &Recorder{ResponseWriter: w}
			start := time.Now()
			defer func() {
				took := time.Since(start)
				for _, d := range done {
					d(r, rec, took)
				}
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

// AccessLog returns a Done that writes a line for each request. It never holds a
// query string, a cookie, or anything from a body.
func AccessLog(log *slog.Logger) Done {
	return func(r *http.Request, rec *Recorder, took time.Duration) {
		if !log.Enabled(r.Context(), slog.LevelInfo) {
			return
		}
		info := From(r.Context())
		attrs := append(requestAttrs(r, info),
			slog.String("proto", r.Proto),
			slog.Int("status", rec.Status),
			slog.Int64("bytes", rec.Bytes()),
			slog.Float64("seconds", took.Seconds()),
		)
		if info.Route != "" {
			attrs = append(attrs, slog.String("route", info.Route))
		}
		if info.User != "" {
			attrs = append(attrs, slog.String("user", info.User))
		}
		if info.Session != "" {
			attrs = append(attrs, slog.String("session", info.Session))
		}
		if info.Failure != nil {
			attrs = append(attrs, slog.String("error", info.Failure.Error()))
		}
		log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelInfo, "request", attrs...)
	}
}

// Warnings returns a Done that writes a warning with the reason for each request that
// failed by our fault or the application's (status 500 and above), or that was
// refused for a reason that the operator may have to mend (Error.Warn). It does so
// whether there is an access log or not.
//
// allow limits the number of lines. It is called before each with its kind, which is
// the route and the status, and returns whether to write the line and how many lines of
// the kind have been withheld since the last one.
func Warnings(log *slog.Logger, allow func(kind string) (ok bool, withheld int)) Done {
	return func(r *http.Request, _ *Recorder, _ time.Duration) {
		info := From(r.Context())
		if info.Failure == nil {
			return
		}
		e := AsError(info.Failure)
		if e.Code < http.StatusInternalServerError && !e.Warn {
			return
		}
		ok, withheld := allow(info.Route + " " + strconv.Itoa(e.Code))
		if !ok {
			return
		}
		attrs := append(requestAttrs(r, info),
			slog.String("route", info.Route),
			slog.String("user", info.User),
			slog.Int("status", e.Code),
			slog.String("error", info.Failure.Error()),
		)
		if withheld > 0 {
			attrs = append(attrs, slog.Int("withheld", withheld))
		}
		log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelWarn, "request failed", attrs...)
	}
}

// maxAttrs is how many attributes a line about a request has at most.
const maxAttrs = 14

// requestAttrs returns the attributes by which every line tells which request it is
// about, with room for the others.
func requestAttrs(r *http.Request, info *Info) []slog.Attr {
	return append(make([]slog.Attr, 0, maxAttrs),
		slog.String("request_id", info.ID),
		slog.String("client", info.Client.String()),
		slog.String("method", cut(r.Method, 32)),
		slog.String("host", cut(info.Host, 256)),
		slog.String("path", cut(r.URL.EscapedPath(), 1024)),
	)
}

// cut shortens s to n bytes, with three dots behind.
func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}

// Recover answers 500 when the handler panics, and logs the panic with its stack.
// When the answer has begun already it panics with http.ErrAbortHandler instead, so
// that the client sees a broken answer. http.ErrAbortHandler itself passes through
// for the same reason: half an answer must not look whole.
func Recover(log *slog.Logger, answer func(http.ResponseWriter, *http.Request, error)) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(v)
				}
				info := From(r.Context())
				log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelError, "panic",
					slog.String("request_id", info.ID), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
				if rec, ok := w.(*Recorder); ok && rec.Status != 0 {
					panic(http.ErrAbortHandler) // half an answer must not look whole
				}
				answer(w, r, Fail(http.StatusInternalServerError, "", fmt.Errorf("panic: %v", v)))
			}()
			next.ServeHTTP(w, r)
		})
	}
}
