package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A HealthCheck is a request that is made to each member now and then. Any
// answer from 200 to 399 says that it is well; redirects are not followed.
type HealthCheck struct {
	Path     string        // with the query, if there is one; "": no checks
	Interval time.Duration // between the end of one and the next
	Timeout  time.Duration // for the head of the answer
}

// firstCheck is how long after the start a member is checked: what is built
// only to see whether it can be asks nobody.
const firstCheck = time.Second

// watch checks a member until ctx ends.
func (b *Balanced) watch(ctx context.Context, m *backend) {
	next := time.NewTimer(min(firstCheck, b.health.Interval))
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		err := b.health.check(ctx, m)
		if ctx.Err() != nil {
			return
		}
		b.mu.Lock()
		wasOut := m.isOut()
		m.checked(time.Now(), err == nil)
		isOut := m.isOut()
		b.mu.Unlock()
		b.tell(m, wasOut, isOut, err)
		next.Reset(b.health.Interval)
	}
}

// check makes the request on the way that all others go.
func (c HealthCheck) check(ctx context.Context, m *backend) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	in := (&http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	p := &probe{header: http.Header{}}
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // what is thrown is that very value
			err = fmt.Errorf("health check: panic: %v", v)
		} else if p.status > 0 {
			err = p.verdict() // how the answer ended does not matter
		}
	}()
	err = m.Upstream.Forward(p, &Request{
		In: in, Method: in.Method, Target: c.Path, Host: m.Host, Header: HeaderOf(http.Header{"User-Agent": {"gatehouse"}, "Accept": {"*/*"}}),
	})
	if ctx.Err() != nil {
		return fmt.Errorf("health check: no answer within %v", c.Timeout)
	}
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	return nil
}

// A probe takes the answer to a health check.
type probe struct {
	header http.Header
	status int
	size   int
}

// probeBody is how much of a body is read, so that the connection can be used
// again.
const probeBody = 64 << 10

func (p *probe) verdict() error {
	if p.status >= http.StatusOK && p.status < http.StatusBadRequest {
		return nil
	}
	return fmt.Errorf("health check: status %d", p.status)
}

func (p *probe) Header() http.Header { return p.header }

func (p *probe) WriteHeader(status int) {
	if status >= http.StatusOK {
		p.status = status
	}
}

func (p *probe) Write(b []byte) (int, error) {
	if p.size += len(b); p.size > probeBody {
		return 0, errors.New("that is enough")
	}
	return len(b), nil
}

func (p *probe) Flush() {}
