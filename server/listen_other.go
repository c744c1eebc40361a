//go:build !linux

package server

import (
	"errors"
	"net"
)

// refuseNew is for Linux alone; elsewhere a connection that comes while the
// listener is closed may be reset.
func refuseNew(*net.TCPListener) error { return errors.ErrUnsupported }
