package e2e

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A Cutter is a TCP proxy between the program and a server that can disturb
// listeners: the connections on which the program has asked for announcements.
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

// StartCutter starts a Cutter in front of the server at to (host:port). A
// connection is a listener once the program has sent word on it, in any case;
// word itself is in lower case, such as "subscribe".
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

// pass copies the reads that let accepts, until one side closes, and closes both.
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

// Deafen with true drops everything that the server sends to listeners, and keeps
// their connections open; with false it ends that.
func (c *Cutter) Deafen(deaf bool) { c.deaf.Store(deaf) }

// DeafenUntilNoticed is Deafen until the program has closed the connections that
// are listeners now, of which there has to be one.
func (c *Cutter) DeafenUntilNoticed(tb testing.TB) {
	tb.Helper()
	c.Deafen(true)
	defer c.Deafen(false)
	before := c.listeners()
	if len(before) == 0 {
		tb.Fatal("no connection is a listener")
	}
	Eventually(tb, func() error {
		if slices.ContainsFunc(c.listeners(), func(conn *cutConn) bool { return slices.Contains(before, conn) }) {
			return errors.New("a connection on which nothing comes is still open")
		}
		return nil
	})
}

func (c *Cutter) listeners() (list []*cutConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		if conn.listens.Load() {
			list = append(list, conn)
		}
	}
	return list
}

// Cut closes the connections of listeners, and returns how many there were.
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

// Through returns the URL with the Cutter's address in place of the server's.
func (c *Cutter) Through(url string) string { return strings.Replace(url, c.to, c.Addr, 1) }
