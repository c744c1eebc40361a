package e2e

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A Cutter stands between a program and a server and passes bytes both ways,
// but those of listeners: connections on which the program has once sent the
// word that asks for announcements.
type Cutter struct {
	Addr string // host:port, in place of the server's

	to, word string
	deaf     atomic.Bool

	mu    sync.Mutex
	conns map[*cutConn]struct{}
}

type cutConn struct {
	client, server net.Conn
	listens        atomic.Bool
}

// StartCutter listens in front of the server at host:port. word is what a
// listener sends, such as subscribe, in lower case.
func StartCutter(tb testing.TB, to, word string) *Cutter {
	tb.Helper()
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	c := &Cutter{Addr: ln.Addr().String(), to: to, word: word, conns: map[*cutConn]struct{}{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.serve(client) })
		}
	})
	tb.Cleanup(func() {
		_ = ln.Close()
		c.cut(func(*cutConn) bool { return true })
		all.Wait()
	})
	return c
}

func (c *Cutter) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", c.to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	conn := &cutConn{client: client, server: server}
	c.mu.Lock()
	c.conns[conn] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.conns, conn)
	}()
	var both sync.WaitGroup
	both.Go(func() {
		pass(server, client, func(b []byte) bool {
			if bytes.Contains(bytes.ToLower(b), []byte(c.word)) {
				conn.listens.Store(true)
			}
			return true
		})
	})
	both.Go(func() {
		pass(client, server, func([]byte) bool { return !c.deaf.Load() || !conn.listens.Load() })
	})
	both.Wait()
}

// pass copies what let allows until one side ends, and ends the other.
func pass(to, from net.Conn, let func([]byte) bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && let(buf[:n]) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Deafen swallows all that listeners are told, and leaves their connections
// open, until it is called with false.
func (c *Cutter) Deafen(deaf bool) { c.deaf.Store(deaf) }

// Cut ends the connections of listeners, and says how many there were.
func (c *Cutter) Cut() int { return c.cut(func(conn *cutConn) bool { return conn.listens.Load() }) }

func (c *Cutter) cut(which func(*cutConn) bool) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		if which(conn) {
			_, _ = conn.client.Close(), conn.server.Close()
			n++
		}
	}
	return n
}

// Through gives the server's URL with the Cutter's address in it.
func (c *Cutter) Through(url string) string { return strings.Replace(url, c.to, c.Addr, 1) }
