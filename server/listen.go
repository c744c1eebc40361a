package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// listen opens what the configuration key listen names: host:port, unix:/path, or
// systemd for the sockets that systemd passes (sd_listen_fds(3)), of which there
// may be several. mode is the mode of a unix socket.
func listen(ctx context.Context, addr string, mode fs.FileMode) ([]net.Listener, error) {
	if addr == "systemd" {
		lns, err := activation.Listeners()
		if err != nil {
			return nil, fmt.Errorf("take over systemd's sockets: %w", err)
		}
		if len(lns) == 0 {
			return nil, errors.New("listen: systemd: no socket was handed over; start it by its .socket unit")
		}
		for i, ln := range lns {
			if ln == nil {
				return nil, errors.New("listen: systemd: a socket that was handed over does not listen; write ListenStream in its .socket unit")
			}
			lns[i] = inherited{ln}
		}
		return lns, nil
	}
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		ln, err := listenUnix(ctx, path, mode)
		if err != nil {
			return nil, err
		}
		return []net.Listener{ln}, nil
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // refuseNew has no effect there
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return []net.Listener{ln}, nil
}
