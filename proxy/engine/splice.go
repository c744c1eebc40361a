package engine

import (
	"io"
	"net"
	"time"
)

const (
	minSplice = 16 << 10 // less is copied
	maxSplice = 1 << 20
	slowest   = 2 << 10 // bytes a second: a client that takes less of a large answer has stalled
)

// firstPiece returns how many bytes the slowest client takes within the stall
// timeout.
func (x *exchange) firstPiece() int64 {
	stall := x.up.o.Timeouts.Stall
	if stall == 0 {
		return maxSplice
	}
	return min(max(int64(stall.Seconds()*slowest), 2*minSplice), maxSplice)
}

// canSplice reports whether the kernel can move the body: both connections are
// plain ones, and the answer need not be flushed piece by piece.
func (x *exchange) canSplice(a *answer) bool {
	in := x.r.In
	if a.stream || a.length < minSplice || in.ProtoMajor != 1 || in.TLS != nil {
		return false
	}
	switch x.c.nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return false
	}
	_, ok := x.w.(io.ReaderFrom)
	return ok
}

// splice moves bytes that the upstream has already sent, up to left, and returns how many;
// 0 if they are too few to be worth it. It never waits for the upstream, so the write
// deadline measures the visitor alone. Progress is not visible before a whole piece has
// been moved, so pieces grow only while the visitor accepts them quickly.
func (x *exchange) splice(left int64) (int64, error) {
	n := min(left, x.piece, x.c.waiting())
	if n < minSplice {
		return 0, nil
	}
	x.c.readWithin(0) // the response timeout may still be set, if nobody had to wait since the head
	x.armed = time.Time{}
	x.armWrite()
	defer func() {
		if time.Since(x.armed) <= x.up.o.Timeouts.Stall/32 || x.up.o.Timeouts.Stall == 0 {
			x.piece = min(2*x.piece, maxSplice)
		} else {
			x.piece = max(x.piece/2, minSplice)
		}
	}()
	m, err := x.w.(io.ReaderFrom).ReadFrom(&io.LimitedReader{R: x.c.nc, N: n}) //nolint:forcetypeassert // canSplice looked
	if err == nil && m < n {
		err = io.ErrUnexpectedEOF
	}
	return m, err
}
