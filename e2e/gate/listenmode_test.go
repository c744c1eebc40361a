//go:build e2e

package gate_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"gatehouse/internal/e2e"
)

// TestListenMode: the socket has the mode of the configuration from the moment
// at which it can be seen, whatever the umask, and goes with the gate.
func TestListenMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o660, 0o600} {
		dir := e2e.OpenFolder(t)
		socket := filepath.Join(dir, "gate.sock")
		e2e.WriteFile(t, filepath.Join(dir, "gatehouse.yaml"), fmt.Sprintf("version: 1\nlisten: unix:%s\nlisten_mode: \"%04o\"\ndata_dir: %s/data\nroutes: [{upstream: \"http://127.0.0.1:1\"}]\n",
			socket, mode, dir), 0o600)
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `umask 0; exec "$0" serve --config "$1"`, e2e.Program(), filepath.Join(dir, "gatehouse.yaml")) //nolint:gosec // the program under test
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		answered := make(chan struct{})
		seen := make(chan map[os.FileMode]bool)
		go func() {
			modes := map[os.FileMode]bool{}
			for last := false; !last; {
				select {
				case <-answered:
					last = true
				default:
				}
				if st, err := os.Lstat(socket); err == nil {
					modes[st.Mode()] = true
				}
			}
			seen <- modes
		}()
		e2e.Eventually(t, func() error {
			c, err := new(net.Dialer).DialContext(context.Background(), "unix", socket)
			if err == nil {
				_ = c.Close()
			}
			return err
		})
		close(answered)
		if modes := <-seen; len(modes) != 1 || !modes[mode|os.ModeSocket] {
			t.Errorf("listen_mode %04o: the socket was seen as %v", mode, modes)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the gate ends with %v", err)
		}
		if _, err := os.Lstat(socket); err == nil {
			t.Error("the socket stays behind")
		}
	}
}
