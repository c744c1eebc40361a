package sessions_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/boltfile"
	"gatehouse/sessions"
	"gatehouse/sessions/storetest"
)

// crashEnv makes the test binary the process that is going to be killed.
const crashEnv = "GATEHOUSE_TEST_CRASH_DB"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

// writeUntilKilled logs in and out by several goroutines, and says so on
// stdout after each call has returned: "+n" and "-n" with the number of a key.
func writeUntilKilled(path string) {
	db, err := boltfile.Open(path)
	if err != nil {
		panic(err)
	}
	s, err := sessions.NewBolt(db)
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format, args...)
	}
	ctx := context.Background()
	for g := range 8 {
		go func() {
			for i := g; ; i += 8 {
				r := storetest.Record("alice")
				if err := s.Create(ctx, storetest.Key(i), r); err != nil {
					panic(err)
				}
				say("+%d\n", i)
				if i%3 == 0 {
					continue
				}
				say("~%d\n", i) // from here on it may be gone
				if _, err := s.Delete(ctx, storetest.Key(i)); err != nil {
					panic(err)
				}
				say("-%d\n", i)
			}
		}()
	}
	select {}
}

// Kill -9 at any moment loses no login
// and no logout that was answered, and the file opens again.
//
// Django 131.
func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	state := map[string]string{} // key number: the last that was said of it
	for round := range 4 {
		killWhileWriting(t, path, state)
		db, err := boltfile.Open(path)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s, err := sessions.NewBolt(db)
		if err != nil {
			t.Fatal(err)
		}
		checkAfterCrash(t, s, state)
		clear(state)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil { // the next round begins with the same keys
			t.Fatal(err)
		}
	}
}

func killWhileWriting(t *testing.T, path string, state map[string]string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test itself
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var stop *time.Timer
	lines := 0
	for sc := bufio.NewScanner(out); sc.Scan(); lines++ {
		if lines == 0 { // the work has begun
			stop = time.AfterFunc(400*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		}
		if line := sc.Text(); len(line) > 1 {
			state[line[1:]] = line[:1]
		}
	}
	if stop != nil {
		stop.Stop()
	}
	_ = cmd.Wait() // it was killed
	if lines < 20 {
		t.Fatalf("only %d calls before the end", lines)
	}
}

func checkAfterCrash(t *testing.T, s *sessions.Bolt, state map[string]string) {
	t.Helper()
	logins, logouts := 0, 0
	for number, last := range state {
		var n int
		if _, err := fmt.Sscan(number, &n); err != nil {
			t.Fatal(err)
		}
		r, err := s.Load(t.Context(), storetest.Key(n))
		switch {
		case last == "+" && (err != nil || r.User != "alice"):
			t.Errorf("the login %d was answered and is lost: %v", n, err)
		case last == "-" && !errors.Is(err, sessions.ErrNotFound):
			t.Errorf("the logout %d was answered and is undone: %v", n, err)
		case last == "~" && err != nil && !errors.Is(err, sessions.ErrNotFound):
			t.Errorf("session %d: %v", n, err)
		case last == "+":
			logins++
		case last == "-":
			logouts++
		}
	}
	// The indexes and the count agree with the records.
	all, users := 0, 0
	for e, err := range s.List(t.Context(), sessions.Query{}) {
		if err != nil || !strings.HasPrefix(e.User, "alice") {
			t.Fatalf("List yields %q, %v", e.User, err)
		}
		all++
	}
	for _, err := range s.List(t.Context(), sessions.Query{User: "alice"}) {
		if err != nil {
			t.Fatal(err)
		}
		users++
	}
	gone, err := s.DeleteExpired(t.Context(), time.Now().Add(24*time.Hour), all+10)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Count(t.Context()); err != nil || n != 0 || users != all || len(gone) != all {
		t.Errorf("%d records, %d in the index of users, %d in that of times, %d counted more: %v", all, users, len(gone), n, err)
	}
	t.Logf("%d logins, %d logouts", logins, logouts)
}
