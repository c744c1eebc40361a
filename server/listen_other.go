//go:build !linux

package server

import (
	"errors"
	"net"
)

// refuseNew is supported on Linux only. Elsewhere, a connection that comes while the
// listener is being closed may be reset.
func refuseNew(*net.TCPListener) error { return errors.ErrUnsupported }
