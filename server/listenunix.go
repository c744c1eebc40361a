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

// A unixListener removes its socket when it is closed, unless another process has put
// its own there meanwhile.
type unixListener struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// listenUnix listens on a socket that has the mode from the beginning. It replaces a
// socket that a process left behind, but never one that still accepts connections.
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

// checkPlace returns an error if there is something else at path than a socket that
// nobody listens on.
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

// privateFolder makes a folder that only our user can enter. Its name is short, because
// the path of a socket may have 107 bytes at most.
func privateFolder(in string) (string, error) {
	for try := 0; ; try++ {
		dir := filepath.Join(in, ".s"+rand.Text()[:4])
		if err := os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) || try == 100 {
			return dir, err
		}
	}
}

// Addr implements net.Listener.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close implements net.Listener.
func (l *unixListener) Close() error {
	l.remove()
	return l.UnixListener.Close()
}

// remove removes the socket: no new connections come, and those that wait can still be
// accepted.
func (l *unixListener) remove() {
	if st, err := os.Lstat(l.path); err == nil && os.SameFile(st, l.made) {
		_ = os.Remove(l.path) // if it stays, the next process replaces it
	}
}
