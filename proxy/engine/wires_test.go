package engine

import (
	"bufio"
	"net"
	"testing"
)

// wires runs f once for each way in which HTTP/1.1 is spoken to an upstream:
// in the clear, and over TLS.
func wires(t *testing.T, f func(t *testing.T, start starter)) {
	t.Helper()
	t.Run("http", func(t *testing.T) { f(t, plainWire) })
	t.Run("https", func(t *testing.T) { f(t, sealedWire) })
}

// A starter starts an upstream and returns the engine that leads there.
type starter func(t *testing.T, o HTTP1Options, serve func(c net.Conn, br *bufio.Reader, n int)) (*rawUpstream, Upstream)

func plainWire(t *testing.T, o HTTP1Options, serve func(c net.Conn, br *bufio.Reader, n int)) (*rawUpstream, Upstream) {
	t.Helper()
	u := upstream(t, func(c *net.TCPConn, br *bufio.Reader, n int) { serve(c, br, n) })
	o.Address, o.Timeouts = u.addr, patient
	return u, NewHTTP1(o)
}

func sealedWire(t *testing.T, o HTTP1Options, serve func(c net.Conn, br *bufio.Reader, n int)) (*rawUpstream, Upstream) {
	t.Helper()
	u, std := sealed(t, serve)
	o.Address, o.Timeouts, o.TLS = u.addr, patient, std.TLS
	return u, NewHTTPS(o)
}
