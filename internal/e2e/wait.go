package e2e

import (
	"testing"
	"time"

	"gatehouse/internal/freeport"
)

// Patience is how long a test waits for something that should happen at once. A
// machine that does other things at the same time may need that long.
const Patience = time.Minute

// Eventually calls f until it returns nil, and fails the test when it does not do
// so within Patience.
func Eventually(tb testing.TB, f func() error) {
	tb.Helper()
	Within(tb, Patience, f)
}

// Within is Eventually with a limit of its own.
func Within(tb testing.TB, patience time.Duration, f func() error) {
	tb.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("still after %s: %v", patience, err)
		}
	}
}

// FreeAddr returns an address of this machine on which nothing listens. Until
// the end of the test, only a server that the test tells to listen there can,
// as often as it is started; see freeport.Reserve.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	addr, release, err := freeport.Reserve()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(release)
	return addr
}

// tail returns the last n bytes of s, with a mark where something is left out.
func tail(s string, n int) string {
	if len(s) > n {
		return "[...]" + s[len(s)-n:]
	}
	return s
}
