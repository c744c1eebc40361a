package server

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Closing a listener resets the connections that wait in its queue: somebody
// whose request has been taken by the kernel would see it fail.
func TestADrainingListenerServesWhatTheKernelHasTaken(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := newDrainingListener(ln)
	const waiting = 20
	for range waiting {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // a test
	}
	taken := make(chan int)
	go func() {
		n := 0
		for {
			c, err := d.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept: %v, want net.ErrClosed", err)
				}
				taken <- n
				return
			}
			n++
			_ = c.Close()
		}
	}()
	d.drain(5 * time.Second)
	if n := <-taken; n != waiting {
		t.Errorf("%d connections were taken, want %d", n, waiting)
	}
	if err := d.Close(); err != nil { // as http.Server.Shutdown may do behind it
		t.Errorf("closing a drained listener: %v", err)
	}
}

func TestDrainingEndsAlthoughConnectionsKeepComing(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := newDrainingListener(ln)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // a client that never lets the queue be quiet
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String()); err == nil {
				_ = c.Close()
			}
		}
	}()
	go func() {
		for {
			c, err := d.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	start := time.Now()
	d.drain(200 * time.Millisecond)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("draining took %v", took)
	}
	close(stop)
	<-done
	_ = d.Close()
}

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	ln, err := listenUnix(t.Context(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if _, err := listenUnix(t.Context(), path, 0o600); err == nil {
		t.Error("the socket of a living process was taken away")
	}
	// A process that was killed leaves its socket behind.
	if err := ln.UnixListener.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := listenUnix(t.Context(), path, 0o600)
	if err != nil {
		t.Fatalf("a dead process's socket is in the way: %v", err)
	}
	_ = again.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(t.Context(), path, 0o600); err == nil {
		t.Error("a file was taken for a socket")
	}
}

// A new process may have put its socket there before the old one has stopped.
func TestClosingTakesAwayNoSocketButOnesOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	ln, err := listenUnix(t.Context(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ln.remove()
	next, err := listenUnix(t.Context(), path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("the other's socket: %v, %v", st, err)
	}
	_ = next.Close()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is left behind")
	}
}

// Connections that come between the last accept and the close were reset: a
// client saw the request fail that nobody had refused.
func TestDrainingLosesNoConnectionUnderLoad(t *testing.T) {
	lns, err := listen(t.Context(), "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	ln := lns[0]
	d := newDrainingListener(ln)
	go func() {
		for {
			c, err := d.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("x"))
			_ = c.Close()
		}
	}()
	var clients sync.WaitGroup
	var answered atomic.Int64
	for range 8 {
		clients.Go(func() {
			for {
				c, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
				if err != nil {
					return // refused: nothing was promised
				}
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				if n, err := c.Read(make([]byte, 1)); n != 1 {
					t.Errorf("a connection was lost: %v", err)
				}
				answered.Add(1)
				_ = c.Close()
			}
		})
	}
	for answered.Load() < 200 {
		time.Sleep(time.Millisecond)
	}
	d.drain(5 * time.Second)
	clients.Wait()
}
