//go:build e2e

package gate_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/boltfile"
	"gatehouse/internal/e2e"
	"gatehouse/sessions"
)

// TestRevocation: what an administrator does counts at the next request.
func TestRevocation(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, e2e.Standard(e2e.Serve(t, "app")))
	const first, second = "staple battery horse correct", "a wholly new pass phrase"
	gate.Must(t, first+"\n", "user", "add", "dave", "--password-stdin", "--group", "staff", "--email", "dave@example.com")
	dave := gate.Browser(t)
	alive := func(want bool, when string) {
		t.Helper()
		if a := dave.Fetch("/private"); (a.Status == http.StatusOK) != want {
			t.Errorf("%s: %d, signed in should be %t", when, a.Status, want)
		}
	}
	dave.Login("dave", first)
	alive(true, "after login")

	id := strings.Fields(strings.Split(gate.Must(t, "", "session", "list", "--user", "dave"), "\n")[1])[0]
	gate.Must(t, "", "session", "revoke", id)
	alive(false, "after session revoke ID")

	dave.Login("dave", first)
	gate.Must(t, "", "session", "revoke", "--user", "dave")
	alive(false, "after session revoke --user")

	dave.Login("dave", first)
	gate.Must(t, "", "session", "revoke", "--all")
	alive(false, "after session revoke --all")

	dave.Login("dave", first)
	gate.Must(t, second+"\n", "user", "passwd", "dave", "--password-stdin")
	alive(false, "after user passwd")
	if a := dave.TryLogin("dave", first, "/"); a.Status != http.StatusUnauthorized {
		t.Errorf("the old password: %d, want 401", a.Status)
	}

	dave.Login("dave", second)
	gate.Must(t, "", "user", "disable", "dave")
	alive(false, "after user disable")
	if a := dave.TryLogin("dave", second, "/"); a.Status != http.StatusUnauthorized {
		t.Errorf("disabled: %d, want 401", a.Status)
	}
	gate.Must(t, "", "user", "enable", "dave")
	alive(false, "after user enable: the old session stays dead")

	dave.Login("dave", second)
	gate.Must(t, "", "user", "delete", "dave")
	alive(false, "after user delete")
	gate.AwaitLog(t, "account.deleted")
}

// TestRestart: sessions survive a restart and a power cut, and what was
// logged out stays dead.
//
// Django 131.
func TestRestart(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		gate := e2e.Start(t, m, e2e.Standard(e2e.Serve(t, "app")))
		alice, bob := gate.Browser(t), gate.Browser(t)
		alice.Login("alice", e2e.Password)
		bob.Login("bob", e2e.Password)
		old := bob.CookieLine()
		bob.Logout()
		for name, end := range map[string]func(){
			"SIGTERM": func() { gate.Stop(t) },
			"kill -9": func() { gate.Kill(t) },
		} {
			end()
			gate.Run(t)
			if got := alice.SignedInAs(); got != "alice" {
				t.Errorf("after %s alice is %q", name, got)
			}
			if a := gate.Browser(t).Fetch("/private", "Cookie: "+old); a.Status != http.StatusUnauthorized {
				t.Errorf("after %s the logged-out session: %d, want 401", name, a.Status)
			}
		}
	})
}

// TestPowerCuts: kill -9 again and again while people sign in and out and an
// administrator ends sessions. What was answered holds: no session that was
// answered is lost, none that was ended comes back, and the file opens.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	gate := e2e.New(t, e2e.HTTP1, "login: {throttle: {per_account: 100000/15m, per_network: 100000/15m}}\n"+e2e.Standard(e2e.Serve(t, "app")))
	gate.Run(t)
	l := &ledger{fates: map[string]fate{}}
	counts := map[fate]int{}
	for round := range 10 {
		l.disturb(t, gate, 8+round)
		gate.Run(t) // which fails when the file does not open
		b := gate.Browser(t)
		b.Client.Jar = nil
		for cookie, f := range l.fates {
			a := b.Fetch("/private", "Cookie: "+cookie)
			switch {
			case f == alive && a.Status != http.StatusOK:
				t.Errorf("round %d: a session that was answered is lost: %d", round, a.Status)
			case f == dead && a.Status != http.StatusUnauthorized:
				t.Errorf("round %d: a session that was ended is back: %d", round, a.Status)
			}
			counts[f]++
			if len(l.fates) > 200 {
				delete(l.fates, cookie) // seen often enough; keep the rounds short
			}
		}
	}
	t.Logf("looked at %d living sessions, %d dead ones, and %d that nobody can know of", counts[alive], counts[dead], counts[unknown])
	if counts[alive] == 0 || counts[dead] == 0 {
		t.Error("the test tested nothing")
	}
	if code := gate.Stop(t); code != 0 {
		t.Errorf("exit status %d after the last round", code)
	}
}

// A fate is what must hold for a session after a power cut.
type fate int

const (
	unknown fate = iota // its end was asked for, and not answered
	alive               // the login was answered
	dead                // the end was answered
)

// A ledger knows what was answered.
type ledger struct {
	mu      sync.Mutex
	fates   map[string]fate // by cookie
	answers int             // in this round
}

func (l *ledger) note(cookie string, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fates[cookie] = f
	if f != unknown {
		l.answers++
	}
}

// disturb lets people work until there were some answers, and kills the gate.
func (l *ledger) disturb(t *testing.T, gate *e2e.Gate, answers int) {
	t.Helper()
	l.answers = 0
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, name := range []string{"alice", "carol"} {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if b := signIn(t, gate, name); b != nil {
					l.note(b.CookieLine(), alive)
					if i%2 == 1 {
						l.note(b.CookieLine(), unknown)
						if b.TrySubmit("/_gate/logout", url.Values{}) == http.StatusSeeOther {
							l.note(b.CookieLine(), dead)
						}
					}
				}
			}
		})
	}
	all.Go(func() { l.revoke(ctx, t, gate, "bob") })
	e2e.Within(t, 6*e2e.Patience, func() error { // people are at work, which is much work for a loaded machine
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.answers < answers {
			return fmt.Errorf("%d answers", l.answers)
		}
		return nil
	})
	gate.Kill(t)
	cancel()
	all.Wait()
}

// revoke signs somebody in a few times, then ends all sessions of theirs.
func (l *ledger) revoke(ctx context.Context, t *testing.T, gate *e2e.Gate, name string) {
	for ctx.Err() == nil {
		var cookies []string
		for range 2 {
			if b := signIn(t, gate, name); b != nil {
				cookies = append(cookies, b.CookieLine())
				l.note(b.CookieLine(), alive)
			}
		}
		for _, c := range cookies {
			l.note(c, unknown)
		}
		if _, code := gate.Command(t, "", "session", "revoke", "--user", name); code == 0 {
			for _, c := range cookies {
				l.note(c, dead)
			}
		}
	}
}

// signIn gives a browser that is signed in, or nil when there was no answer.
func signIn(t *testing.T, gate *e2e.Gate, name string) *e2e.Browser {
	t.Helper()
	b := gate.Browser(t)
	defer b.Client.CloseIdleConnections()
	form := url.Values{"username": {name}, "password": {e2e.Password}, "next": {"/"}}
	if b.TrySubmit("/_gate/login", form) != http.StatusSeeOther {
		return nil
	}
	return b
}

// TestStartWithManySessions: with 100,000 sessions the first answer costs no
// more than without. Measured in CPU time: the machine does other things as
// well.
func TestStartWithManySessions(t *testing.T) {
	t.Parallel()
	gate := e2e.New(t, e2e.HTTP1, e2e.Standard(e2e.Serve(t, "app")))
	fill(t, filepath.Join(gate.Dir, "data"), 100_000)
	gate.Run(t) // makes the secrets, once
	gate.Stop(t)
	gate.Run(t)
	defer gate.Stop(t)
	cost := e2e.CPU(t, gate.PID())
	if got := strings.Count(gate.Must(t, "", "session", "list", "--user", "user42"), "user42"); got != 100 {
		t.Errorf("user42 has %d sessions, want 100", got)
	}
	t.Logf("start to first answer: %s of CPU time", cost)
	if limit := 100 * time.Millisecond * time.Duration(e2e.Slower()); cost > limit {
		t.Errorf("start to first answer took %s of CPU time, want %s at most", cost, limit)
	}
}

// fill makes a database with n sessions of n/100 people.
func fill(t *testing.T, dir string, n int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := boltfile.Open(filepath.Join(dir, "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	db.NoSync = true
	store, err := sessions.NewBolt(db)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var all sync.WaitGroup
	var next atomic.Int64
	for range 512 { // what is written at the same time goes to the file together
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				sum := sha256.Sum256([]byte(strconv.Itoa(i)))
				key := fmt.Sprintf("%08x%x", i, sum[4:]) // in order, which is quicker to write
				err := store.Create(t.Context(), key, sessions.Record{
					User: fmt.Sprintf("user%d", i/100), Source: "file", Created: now, Login: now, Seen: now,
					Expires: now.Add(30 * time.Minute), Limit: now.Add(12 * time.Hour), Idle: 30 * time.Minute,
					Addr: "192.0.2.1", Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := db.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
