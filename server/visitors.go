package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
)

// A visitorListener accepts connections of clients, as many as the section limits
// of the configuration allows, and wraps each in a visitor.
type visitorListener struct {
	net.Listener
	door *door
}

// A door is what all listeners for visitors share: the limits and the counts of
// connections. It is safe for concurrent use.
type door struct {
	tls    *tls.Config // nil: plain
	budget *budget
	config func() *config.Config // returns the configuration in force
	log    *slog.Logger
	times  visitorTimes

	mu      sync.Mutex
	inside  int
	from    map[netip.Addr]int // connections of each address that limits.per_address counts
	refused int                // connections refused since the last warning
	said    time.Time
}

// newDoor returns a door. c is nil for plain HTTP. current returns the
// configuration in force and is called for each connection, so a reload changes
// the limits.
func newDoor(c *tls.Config, current func() *config.Config, log *slog.Logger) *door {
	return &door{
		tls: c, config: current, log: log, times: usualTimes(),
		budget: newBudget(heldInAll, heldForAddress), from: map[netip.Addr]int{},
	}
}

// Accept implements net.Listener. A connection over a limit is closed at once,
// and the next one is accepted.
func (l *visitorListener) Accept() (net.Conn, error) {
	for {
		socket, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // net/http looks at it
		}
		if c := l.door.enter(socket); c != nil {
			return c, nil
		}
		_ = socket.Close()
	}
}

// enter returns the visitor of a connection, or nil if it is over a limit; then
// the caller closes the socket. Peers in trusted_proxies and peers of a unix
// socket count only towards limits.connections, since many visitors share them.
func (d *door) enter(socket net.Conn) *visitor {
	conf := d.config()
	peer := peerOf(socket)
	counted := peer.IsValid() && !conf.Trusted.Contains(peer)
	from := network(peer)
	if !d.let(conf.Limits, from, counted) {
		return nil
	}
	c := newVisitor(socket, d.tls, d.budget, d.log)
	c.times = d.times
	c.leave = func() { d.left(from, counted) }
	c.hsts = func() string {
		if v := d.config().TLS.HSTS; v != "" {
			return v
		}
		return web.DefaultHSTS
	}
	if counted {
		c.holding.address = from
	}
	return c
}

// let counts a connection and returns true if it is within the limits. It logs
// refusals at most once a minute, with their number.
func (d *door) let(limits config.LimitsConfig, from netip.Addr, counted bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	var key string
	switch {
	case limits.Connections > 0 && d.inside >= limits.Connections:
		key = "limits.connections"
	case counted && limits.PerAddress > 0 && d.from[from] >= limits.PerAddress:
		key = "limits.per_address"
	default:
		d.inside++
		if counted {
			d.from[from]++
		}
		return true
	}
	d.refused++
	if now := time.Now(); d.said.IsZero() || now.Sub(d.said) >= time.Minute {
		d.log.WarnContext(context.Background(), "connections refused", "limit", key, "client", from.String(), "count", d.refused)
		d.said, d.refused = now, 0
	}
	return false
}

// left takes back what let has counted.
func (d *door) left(from netip.Addr, counted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	if !counted {
		return
	}
	if d.from[from]--; d.from[from] == 0 {
		delete(d.from, from)
	}
}

// peerOf returns the address of the peer; the zero value for a unix socket.
func peerOf(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// visitorKey is the context key of the visitor.
type visitorKey struct{}

// withVisitor puts the visitor and its connections to upstreams into the context
// of each of its requests. It is called by http.Server.ConnContext.
func withVisitor(ctx context.Context, c net.Conn) context.Context {
	if v, ok := c.(*visitor); ok {
		ctx, v.own = engine.WithVisitor(ctx)
		v.own.SetReason = v.phrase.set
		v.own.AbandonBody = func() { v.lingers.Store(true) }
		return context.WithValue(ctx, visitorKey{}, v)
	}
	return ctx
}

// visitorOf returns the connection of a request, or nil if it did not come
// through a visitorListener.
func visitorOf(ctx context.Context) *visitor {
	v, _ := ctx.Value(visitorKey{}).(*visitor)
	return v
}
