package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A unixListener removes its socket file when it is closed, unless another
// process has put its own there meanwhile.
type unixListener struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// listenUnix listens on a unix socket that has the mode from the beginning. It
// replaces a socket that a process left behind, but returns an error if something
// accepts connections on it or if another kind of file is there.
func listenUnix(ctx context.Context, path string, mode fs.FileMode) (*unixListener, error) {
	if err := checkPlace(ctx, path); err != nil {
		return nil, err
	}
	// No other user can enter the folder, so none connects before the mode is set.
	dir, err := privateFolder(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	defer os.Remove(dir) //nolint:errcheck // it is empty, or there is nothing to do about it
	temp := filepath.Join(dir, "s")
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", temp)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l := &unixListener{UnixListener: ln.(*net.UnixListener), path: path} // network unix
	l.SetUnlinkOnClose(false)
	if err = os.Chmod(temp, mode); err == nil {
		if err = os.Rename(temp, path); err == nil {
			l.made, err = os.Lstat(path)
		}
	}
	if err != nil {
		_ = os.Remove(temp) // gone already if it was renamed
		return nil, errors.Join(fmt.Errorf("listen: %w", err), ln.Close())
	}
	return l, nil
}

// checkPlace returns nil if there is nothing at path, or a socket that nobody
// listens on.
func checkPlace(ctx context.Context, path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("listen: %w", err)
	case st.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("listen: %s is there, and no socket", path)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if c, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
		return errors.Join(fmt.Errorf("listen: somebody answers on %s", path), c.Close())
	}
	return nil
}

// privateFolder makes a folder that only our user can enter, inside of the folder
// in, and returns its path. The name is short, because the path of a socket may
// have at most 107 bytes (unix(7)).
func privateFolder(in string) (string, error) {
	for try := 0; ; try++ {
		dir := filepath.Join(in, ".s"+rand.Text()[:4])
		if err := os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) || try == 100 {
			return dir, err
		}
	}
}

// Addr implements net.Listener. It returns the path of the configuration, not the
// one at which the socket was made.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close implements net.Listener. It removes the socket file.
func (l *unixListener) Close() error {
	l.remove()
	return l.UnixListener.Close()
}

// remove removes the socket file. No new connections come after that; those in
// the queue can still be accepted.
func (l *unixListener) remove() {
	if st, err := os.Lstat(l.path); err == nil && os.SameFile(st, l.made) {
		_ = os.Remove(l.path) // if it stays, the next process replaces it
	}
}
