package freeport

import (
	"net"
	"strconv"
	"testing"
)

// A port that was only looked at was taken by somebody else before the server
// of a test began to listen on it.
func TestAReservedPortIsItsServersAlone(t *testing.T) {
	addr, release, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if release, err := hold(port); err == nil {
		release()
		t.Error("somebody else gets the port, too")
	}
	for range 2 { // a server that is started again
		ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatalf("the server itself cannot listen: %v", err)
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Close(), ln.Close()
	}
}
