package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// patience is how long a connection waits for the next bytes. Longer counts as a
// failure, not as a latency.
const patience = 60 * time.Second

// A conn is one kept-alive connection, used by one goroutine.
type conn struct {
	net.Conn
	buf []byte
}

func dial(ctx context.Context, addr string) (*conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return &conn{Conn: c, buf: make([]byte, 64<<10)}, nil
}

var errMore = errors.New("load: bytes after the end of an answer")

// ask sends one request, reads its answer to the end, and discards the body.
func (c *conn) ask(request []byte) (answer, error) {
	if _, err := c.Write(request); err != nil {
		return answer{}, fmt.Errorf("load: %w", err)
	}
	return c.answer()
}

func (c *conn) answer() (answer, error) {
	a, have, err := c.head()
	if err != nil {
		return answer{}, err
	}
	rest := a.length - int64(have-a.head)
	for rest > 0 {
		n, err := c.Read(c.buf)
		if err != nil {
			return answer{}, fmt.Errorf("load: read the body: %w", err)
		}
		rest -= int64(n)
	}
	if rest < 0 {
		return answer{}, errMore
	}
	return a, nil
}

// head reads until the head is complete, and returns how many bytes were read.
func (c *conn) head() (a answer, have int, err error) {
	for a.head == 0 {
		n, err := c.Read(c.buf[have:])
		if err != nil {
			return answer{}, have, fmt.Errorf("load: read the head: %w", err)
		}
		have += n
		if a, err = parseHead(c.buf[:have]); err != nil {
			return answer{}, have, err
		}
	}
	return a, have, nil
}
