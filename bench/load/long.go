package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Transfer sends the head of a request and a body of up bytes, and reads the answer,
// whose body must have down bytes. It returns the time from the first byte to the
// last.
func Transfer(ctx context.Context, addr string, head []byte, up, down int64) (time.Duration, error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	begin := time.Now()
	if _, err := c.Write(head); err != nil {
		return 0, fmt.Errorf("load: %w", err)
	}
	for part := make([]byte, 256<<10); up > 0; {
		n, err := c.Write(part[:min(up, int64(len(part)))])
		if err != nil {
			return 0, fmt.Errorf("load: send the body: %w", err)
		}
		up -= int64(n)
	}
	a, err := c.answer()
	if err != nil {
		return 0, err
	}
	if a.status != 200 || a.length != down {
		return 0, fmt.Errorf("load: status %d with %d bytes, want 200 with %d", a.status, a.length, down)
	}
	return time.Since(begin), nil
}

// opening is how many connections Idle opens at the same time.
const opening = 64

// Idle opens n connections, upgrades each with the request, and returns them. The
// caller closes them, also when there is an error.
func Idle(ctx context.Context, addr string, request []byte, n int) ([]net.Conn, error) {
	var (
		mu    sync.Mutex
		conns []net.Conn
		errs  []error
		wg    sync.WaitGroup
	)
	next := make(chan struct{})
	for range opening {
		wg.Go(func() {
			for range next {
				c, err := upgrade(ctx, addr, request)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				} else {
					conns = append(conns, c)
				}
				mu.Unlock()
			}
		})
	}
	for range n {
		next <- struct{}{}
	}
	close(next)
	wg.Wait()
	if len(errs) > 0 {
		return conns, fmt.Errorf("%d of %d connections: %w", len(errs), n, errors.Join(errs[:1]...))
	}
	return conns, nil
}

func upgrade(ctx context.Context, addr string, request []byte) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	a, err := (&conn{Conn: c, buf: make([]byte, maxHead)}).ask(request)
	if err == nil && a.status != 101 {
		err = fmt.Errorf("load: status %d, want 101", a.status)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	return c, nil
}
