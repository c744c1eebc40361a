package engine

import (
	"context"
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

// check asks once.
func (c HealthCheck) check(ctx context.Context, m *backend) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	res, err := RoundTrip(ctx, m.Upstream, Request{
		Method: http.MethodGet, Target: c.Path, Host: m.Host, Header: HeaderOf(http.Header{"User-Agent": {"gatehouse"}, "Accept": {"*/*"}}),
	}, nil, checkedBody)
	switch {
	case res != nil && res.Status >= http.StatusOK && res.Status < http.StatusBadRequest:
		return nil // how the answer ended does not matter
	case res != nil:
		return fmt.Errorf("health check: status %d", res.Status)
	case ctx.Err() != nil:
		return fmt.Errorf("health check: no answer within %v", c.Timeout)
	}
	return fmt.Errorf("health check: %w", err)
}

// checkedBody is how much of a body is read, so that the connection can be used
// again.
const checkedBody = 64 << 10
