// Package freeport reserves TCP ports on loopback for servers that cannot be
// told to choose one themselves, or that are started more than once at the
// same address. It is for tests and benchmarks.
package freeport

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Ports are taken from below the range from which Linux chooses the ports of
// outgoing connections.
const (
	first = 10_000
	count = 20_000
)

// last counts through the ports, so that one process tries none twice in a row.
var last atomic.Int64

// Reserve returns an address (127.0.0.1:PORT) on which nothing listens, and
// keeps its port reserved until release is called: no other process can bind to
// it by accident, but a server that is told to listen on it can, as often as it
// is started. The server has to set SO_REUSEADDR, as Go and nearly every other
// server does. It fails when no port in its range is free. Reserve may be called
// by several goroutines at once.
func Reserve() (addr string, release func(), err error) {
	for range count {
		port := first + (os.Getpid()*997+int(last.Add(1)))%count
		if release, err = hold(port); err == nil {
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), release, nil
		}
	}
	return "", nil, fmt.Errorf("no free port: %w", err)
}

// hold binds a socket to the port that never listens. The kernel then uses the
// port neither for an outgoing connection nor for a listener on port 0, and a
// second hold fails, in any process.
func hold(port int) (release func(), err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	release = func() { _ = unix.Close(fd) }
	if err = unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // after bind, which has to fail where something is bound already
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}
