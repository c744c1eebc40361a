//go:build !linux

package admin

import (
	"errors"
	"net"
)

// peerUID works on Linux only; elsewhere the error is errors.ErrUnsupported.
func peerUID(net.Conn) (uint32, error) { return 0, errors.ErrUnsupported }
