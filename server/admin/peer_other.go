//go:build !linux

package admin

import (
	"errors"
	"net"
)

// peerUID returns errors.ErrUnsupported: only Linux tells whose process it is.
func peerUID(net.Conn) (uint32, error) { return 0, errors.ErrUnsupported }
