// Package load is the client of a benchmark. It sends HTTP/1.1 requests on raw
// connections that are kept alive, and counts the answers. It uses little CPU,
// since it shares the machine with what it measures.
//
// There are two kinds of load. In a closed loop, each connection sends the next
// request as soon as it has its answer. That finds the highest throughput of a
// server, and says little about latency, since a slow server gets fewer requests.
// In an open loop, requests are due at fixed times whatever the server does. A
// latency counts from the time at which the request was due, so that a stall shows
// in all requests that it delayed (no coordinated omission).
package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A Plan is a request and the rate at which it is sent.
type Plan struct {
	Addr     string // host:port
	Request  []byte // a whole request as it goes over the wire, see Get
	Length   int64  // of the body of a good answer, whose status is 200
	Conns    int    // connections, all used at the same time
	Duration time.Duration
	Rate     int // requests a second, all connections together; 0: closed loop
}

// A Result is what was measured with a Plan.
type Result struct {
	Requests int           // good answers
	Bad      int           // anything else
	Err      error         // the first of the bad ones; nil when there are none
	Took     time.Duration // from the first request to the last answer
	Latency  Histogram     // of the good ones
}

// PerSecond returns the number of good answers a second.
func (r *Result) PerSecond() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Took.Seconds()
}

// Get returns the bytes of a GET request. Each of fields is a line "Name: value".
func Get(host, path string, fields ...string) []byte {
	return Head("GET", host, path, fields...)
}

// Head returns the head of a request whose body the caller sends.
func Head(method, host, path string, fields ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// Run connects, sends what the plan asks for, and waits for the last answers. It
// fails when it cannot connect, or when ctx is done; failures of single requests are
// counted in the Result.
func Run(ctx context.Context, p Plan) (Result, error) {
	workers := make([]*worker, p.Conns)
	defer func() {
		for _, w := range workers {
			if w != nil && w.conn != nil {
				_ = w.conn.Close()
			}
		}
	}()
	for i := range workers {
		c, err := dial(ctx, p.Addr)
		if err != nil {
			return Result{}, err
		}
		workers[i] = &worker{plan: &p, conn: c}
	}
	var wg sync.WaitGroup
	begin := time.Now()
	for i, w := range workers {
		wg.Go(func() {
			if p.Rate > 0 {
				w.open(ctx, begin, i)
			} else {
				w.closed(ctx, begin)
			}
		})
	}
	wg.Wait()
	var sum Result
	for _, w := range workers {
		sum.add(&w.result)
	}
	sum.Took = time.Since(begin)
	if err := ctx.Err(); err != nil {
		return sum, fmt.Errorf("load: %w", err)
	}
	return sum, nil
}

func (r *Result) add(other *Result) {
	r.Requests += other.Requests
	r.Bad += other.Bad
	r.Latency.Merge(&other.Latency)
	if r.Err == nil {
		r.Err = other.Err
	}
}

// A worker is one connection's goroutine.
type worker struct {
	plan   *Plan
	conn   *conn // nil: lost
	result Result
}

// closed sends requests one after another until the time is over.
func (w *worker) closed(ctx context.Context, begin time.Time) {
	end := begin.Add(w.plan.Duration)
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
		now = w.ask(ctx, now)
	}
}

// open sends requests at the times that belong to this connection, the i-th of all.
func (w *worker) open(ctx context.Context, begin time.Time, i int) {
	gap := time.Duration(w.plan.Conns) * time.Second / time.Duration(w.plan.Rate)
	due := begin.Add(time.Duration(i) * time.Second / time.Duration(w.plan.Rate))
	end := begin.Add(w.plan.Duration)
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for due.Before(end) {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		w.ask(ctx, due)
		due = due.Add(gap)
		timer.Reset(time.Until(due))
	}
}

var errClosed = errors.New("load: the server ends a connection that should be kept")

// ask sends one request, reads its answer, and returns the time at its end. The
// latency counts from since.
func (w *worker) ask(ctx context.Context, since time.Time) time.Time {
	err := w.once(ctx)
	now := time.Now()
	if err != nil {
		w.result.Bad++
		if w.result.Err == nil {
			w.result.Err = err
		}
		return now
	}
	w.result.Requests++
	w.result.Latency.Add(now.Sub(since))
	return now
}

func (w *worker) once(ctx context.Context) (err error) {
	if w.conn == nil {
		if w.conn, err = dial(ctx, w.plan.Addr); err != nil {
			w.conn = nil
			return err
		}
	}
	if w.result.Requests%1024 == 0 { // now and then is enough
		_ = w.conn.SetDeadline(time.Now().Add(w.plan.Duration + patience))
	}
	a, err := w.conn.ask(w.plan.Request)
	switch {
	case err != nil:
	case a.close:
		err = errClosed
	case a.status != 200 || a.length != w.plan.Length:
		return fmt.Errorf("load: status %d with %d bytes, want 200 with %d", a.status, a.length, w.plan.Length)
	}
	if err != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
	return err
}
