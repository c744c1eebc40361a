//go:build !linux

package server

import (
	"errors"
	"net"
)

// refuseNew returns errors.ErrUnsupported: only Linux supports it. Elsewhere, a
// connection that comes while the listener is being closed may be reset.
func refuseNew(*net.TCPListener) error { return errors.ErrUnsupported }
