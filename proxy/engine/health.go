package engine

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// A HealthCheck is a GET request that is sent to each member regularly. The member is
// healthy if the status is from 200 to 399. Redirects are not followed.
type HealthCheck struct {
	Path     string        // with the query, if there is one; "": no checks
	Interval time.Duration // between the end of one and the next
	Timeout  time.Duration // for the head of the answer
}

// firstCheck is how long after the start a member is first checked. So a Balanced that is
// only built to test a configuration sends nothing.
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
		b.logChange(m, wasOut, isOut, err)
		next.Reset(b.health.Interval)
	}
}

// check sends the request once. It returns why the member is not healthy; nil: it is.
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

// checkedBody is how much of a body is read so that the connection can be used
// again, in bytes.
const checkedBody = 64 << 10
