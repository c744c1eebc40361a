//go:build e2e

package gate_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/boltfile"
	"gatehouse/internal/e2e"
	"gatehouse/sessions"
)

// With -sessions=1000000 it measures what docs/operations.md says; CI has no
// time for that many.
var manySessions = flag.Int("sessions", 5_000, "how many sessions TestManySessions lists and ends")

// TestManySessions lists, copies, and ends sessions while the gate runs. The
// memory of neither side may grow with their number: a list that is held whole
// costs half a kilobyte a session at least, on top of some 7 MiB.
func TestManySessions(t *testing.T) {
	t.Parallel()
	n := *manySessions
	g := e2e.New(t, e2e.HTTP1, "routes: [{upstream: \"http://127.0.0.1:1\"}]\n")
	data := filepath.Join(g.Dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	fillSessions(t, filepath.Join(data, "gatehouse.db"), n)
	g.Env = []string{"GOGC=100"} // else the collector lets tens of megabytes gather, see server/ballast.go
	g.Run(t)
	defer g.Stop(t)
	before := e2e.Memory(t, g.PID(), "RssAnon")
	limit := int64(24 << 20)
	if e2e.Race() {
		limit *= 5 // it keeps a shadow of all memory
	}

	measure := func(name string, args ...string) (lines int) {
		began := time.Now()
		cmd := exec.CommandContext(t.Context(), e2e.Program(), append(args, "--config", g.ConfigFile())...) //nolint:gosec // the program under test
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var client, server int64
		in := bufio.NewScanner(out)
		for in.Scan() {
			if lines++; lines%5000 == 0 { // the client waits for us meanwhile
				client, server = max(client, e2e.Memory(t, cmd.Process.Pid, "RssAnon")), max(server, e2e.Memory(t, g.PID(), "RssAnon"))
			}
		}
		if err := errors.Join(in.Err(), cmd.Wait()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		server = max(server, e2e.Memory(t, g.PID(), "RssAnon"))
		t.Logf("%s: %d lines in %v; client %.1f MiB, server %.1f MiB (%.1f before)", name, lines,
			time.Since(began).Round(time.Millisecond), mib(client), mib(server), mib(before))
		if client > limit || server > before+limit {
			t.Errorf("%s of %d sessions: the client took %.1f MiB, the server %.1f MiB more than before", name, n, mib(client), mib(server-before))
		}
		return lines
	}
	if got := measure("list", "session", "list"); got != n+1 {
		t.Errorf("%d lines, want %d", got, n+1)
	}
	if got := measure("list --json", "session", "list", "--json"); got != n {
		t.Errorf("%d lines, want %d", got, n)
	}
	if got := measure("list --user", "session", "list", "--json", "--user", "user7"); got != n/100 {
		t.Errorf("%d lines, want %d", got, n/100)
	}
	if got := measure("list --network", "session", "list", "--json", "--network", "10.0.0.0/16"); got != n/2 {
		t.Errorf("%d lines, want %d", got, n/2)
	}
	if got := measure("a page", "session", "list", "--limit", "100", "--json"); got != 100 {
		t.Errorf("%d lines, want 100", got)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	measure("backup", "backup", copied)
	info, err := os.Stat(copied)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	t.Logf("the copy has %d MiB, %d bytes a session", info.Size()>>20, info.Size()/int64(n))
	measure("revoke --all", "session", "revoke", "--all")
	if got := measure("list of none", "session", "list", "--json"); got != 0 {
		t.Errorf("%d are left", got)
	}
}

// fillSessions writes sessions of 100 users, from two networks.
func fillSessions(t *testing.T, path string, n int) {
	t.Helper()
	db, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	db.NoSync = true // it is closed before anybody counts on it
	store, err := sessions.NewBolt(db)
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, n)
	for i := range keys {
		sum := sha256.Sum256([]byte(strconv.Itoa(i)))
		keys[i] = hex.EncodeToString(sum[:])
	}
	slices.Sort(keys) // in order they are written faster
	now := time.Now()
	todo := make(chan int)
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := range todo {
				err := store.Create(t.Context(), keys[i], sessions.Record{
					User: "user" + strconv.Itoa(i%100), Source: "database", Stamp: "stamp", Created: now, Login: now, Seen: now,
					Expires: now.Add(time.Hour), Limit: now.Add(12 * time.Hour), Idle: time.Hour,
					Addr: fmt.Sprintf("10.%d.%d.%d", i%2, i>>8&255, i&255), Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		todo <- i
	}
	close(todo)
	wg.Wait()
	if err := errors.Join(store.Close(), db.Sync(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
