//go:build e2e

package gate_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/e2e"
)

// smallDisk runs serve with a disk of 4 MiB as its data_dir, in a mount
// namespace of its own, and every other command in that of the gate.
const smallDisk = `#!/bin/sh
set -e
if [ "$1" != serve ]; then
	exec nsenter --user --mount --preserve-credentials --target "$(cat "%[1]s/pid")" "%[2]s" "$@"
fi
mkdir -p "%[1]s/data"
echo $$ >"%[1]s/pid"
exec unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=4m,mode=0700 small "$0" && exec "$@"' "%[1]s/data" "%[2]s" "$@"
`

// TestAFullDiskIsTold: a gate whose disk is full says so to whoever watches it,
// lets nobody in whose session it cannot keep, serves those who are signed in,
// and needs no restart when there is room again.
func TestAFullDiskIsTold(t *testing.T) {
	t.Parallel()
	admin := e2e.FreeAddr(t)
	wrapper := filepath.Join(t.TempDir(), "gatehouse")
	gate := e2e.New(t, e2e.HTTP1, "admin: {listen: "+admin+"}\nlog: {access: false}\n"+
		"login: {throttle: {per_account: 1000/1m, per_network: 1000/1m}}\n"+e2e.Standard(e2e.Serve(t, "app")))
	gate.Program = wrapper
	if err := os.WriteFile(wrapper, fmt.Appendf(nil, smallDisk, gate.Dir, e2e.Program()), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	gate.Run(t)
	t.Cleanup(func() {
		if code := gate.Stop(t); code != 0 {
			t.Errorf("exit status %d\n%s", code, gate.Log())
		}
	})
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	ready := func() int { status, _ := head(t, "http://"+admin+"/readyz"); return status }
	if status := ready(); status != http.StatusOK {
		t.Fatalf("/readyz at first: %d", status)
	}

	disk := fmt.Sprintf("/proc/%d/root%s/data", gate.PID(), gate.Dir)
	fillDisk(t, filepath.Join(disk, "fill"))
	if status, header := head(t, "http://"+admin+"/readyz"); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("/readyz with a full disk: %d, Retry-After %q; want 503 and a time", status, header.Get("Retry-After"))
	}
	if out, code := gate.Command(t, "", "health"); code != 1 || !strings.Contains(out, "full") {
		t.Errorf("gatehouse health with a full disk: exit status %d\n%s", code, out)
	}
	// The database uses up what it has before it needs more.
	var refused e2e.Answer
	for n := 0; refused.Status != http.StatusServiceUnavailable; n++ {
		if refused = gate.Browser(t).TryLogin("bob", e2e.Password, "/"); refused.Status != http.StatusSeeOther && refused.Status != http.StatusServiceUnavailable || n > 500 {
			t.Fatalf("sign-in %d with a full disk: %d\n%s", n, refused.Status, refused.Body)
		}
	}
	if refused.Header.Get("Retry-After") == "" || !strings.Contains(refused.Header.Get("Content-Type"), "text/html") || !strings.Contains(refused.Body, "<h1") || len(refused.Header["Set-Cookie"]) > 0 && strings.Contains(refused.Header.Get("Set-Cookie"), gate.Mode.Cookie+"=") {
		t.Errorf("a sign-in that cannot be kept: %v\n%s", refused.Header, refused.Body)
	}
	if a := alice.Visit("/page"); a.Status != http.StatusOK || a.Body != "app" {
		t.Errorf("a visitor who is signed in, with a full disk: %d %q", a.Status, a.Body)
	}
	e2e.Eventually(t, func() error {
		for line := range strings.Lines(gate.Log()) {
			if containsAll(line, []string{`"level":"WARN"`, "no space left on device"}) {
				return nil
			}
		}
		return fmt.Errorf("no warning in the log:\n%s", gate.Log())
	})

	if err := os.Remove(filepath.Join(disk, "fill")); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, func() error {
		if status := ready(); status != http.StatusOK {
			return fmt.Errorf("/readyz when there is room again: %d", status)
		}
		return nil
	})
	gate.Browser(t).Login("carol", e2e.Password)
	if a := alice.Visit("/page"); a.Status != http.StatusOK {
		t.Errorf("a visitor who is signed in, when there is room again: %d", a.Status)
	}
	alice.Logout()
	if who := alice.SignedInAs(); who != "" {
		t.Errorf("signed in as %q after the logout", who)
	}
}

// fillDisk writes a file until there is no room for a byte more.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // a file of the test
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err = f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("fill the disk: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
