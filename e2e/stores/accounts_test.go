//go:build e2e

package stores_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// accountsIn is the configuration of a node with accounts in PostgreSQL, and
// sessions in one of the stores that can be beside them.
func accountsIn(t *testing.T, f func(t *testing.T, config string)) {
	t.Helper()
	t.Parallel()
	for _, store := range []string{"postgres", "redis"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			session := "session:\n  secrets: [" + nodeSecret + "]\n  postgres: {url: \"" + e2e.Postgres(t).URL + "\"}\n  store: " + store + "\n"
			if store == "redis" {
				session += "  redis: {url: \"" + e2e.StartRedis(t).URL + "\"}\n"
			}
			f(t, session+e2e.Standard(e2e.Serve(t, "app")))
		})
	}
}

// TestNodesShareAccounts: who is added, disabled or given another password at
// one node is so at the other within a second.
func TestNodesShareAccounts(t *testing.T) {
	accountsIn(t, func(t *testing.T, config string) {
		a, b := e2e.Start(t, e2e.HTTP1, config), e2e.Start(t, e2e.HTTP1, config)
		const first, second = "four words of dave", "other words of dave"
		a.Must(t, first+"\n", "user", "add", "dave", "--password-stdin", "--group", "staff")
		there, watcher := b.Browser(t), b.Browser(t)
		best := time.Hour // the machine does other things as well
		for range 3 {
			there.Login("dave", first)
			cookie := there.CookieLine()
			if status := after(watcher, cookie); status != http.StatusOK {
				t.Fatalf("signed in: %d", status)
			}
			a.Must(t, "", "user", "disable", "dave")
			best = min(best, ends(t, watcher, cookie))
			if answer := there.TryLogin("dave", first, "/"); answer.Status != http.StatusUnauthorized {
				t.Errorf("a login while disabled: %d", answer.Status)
			}
			a.Must(t, "", "user", "enable", "dave")
		}
		if best > time.Second {
			t.Errorf("that an account is disabled was learned after %s", best)
		}
		e2e.Eventually(t, func() error {
			if answer := there.TryLogin("dave", first, "/"); answer.Status != http.StatusSeeOther {
				return fmt.Errorf("a login after enable: %d", answer.Status)
			}
			return nil
		})
		cookie := there.CookieLine()
		a.Must(t, second+"\n", "user", "passwd", "dave", "--password-stdin")
		ends(t, watcher, cookie)
		there.Login("dave", second)

		// The command line of a node where no server runs works on the same accounts.
		if code := b.Stop(t); code != 0 {
			t.Fatalf("exit status %d", code)
		}
		if list := b.Must(t, "", "user", "list"); !strings.Contains(list, "dave") {
			t.Errorf("user list where no server runs: %s", list)
		}
		cookie = there.CookieLine()
		here := a.Browser(t)
		if status := after(here, cookie); status != http.StatusOK {
			t.Fatalf("signed in at a node that has gone: %d", status)
		}
		b.Must(t, "", "user", "delete", "dave")
		ends(t, here, cookie)
		if list := a.Must(t, "", "user", "list"); strings.Contains(list, "dave") {
			t.Errorf("user list after delete: %s", list)
		}
	})
}

// TestAccountsInTrouble: while accounts cannot be asked, whoever has one there
// is not let in, not sent to the login page, and not signed out; those of the
// file are, where their sessions lie elsewhere.
func TestAccountsInTrouble(t *testing.T) {
	t.Parallel()
	server := e2e.StartPostgres(t)
	config := "session:\n  secrets: [" + nodeSecret + "]\n  store: redis\n  redis: {url: \"" + e2e.StartRedis(t).URL + "\"}\n" +
		"  postgres: {url: \"" + server.Database(t).URL + "\"}\n" + e2e.Standard(e2e.Serve(t, "app"))
	gate := e2e.Start(t, e2e.HTTP1, config)
	gate.Must(t, "four words of dave\n", "user", "add", "dave", "--password-stdin")
	dave, alice := gate.Browser(t), gate.Browser(t)
	dave.Login("dave", "four words of dave")
	alice.Login("alice", e2e.Password)
	server.Stop(t)
	e2e.Eventually(t, func() error {
		switch status := dave.Fetch("/private").Status; status {
		case http.StatusServiceUnavailable:
			return nil
		case http.StatusOK:
			return errors.New("dave is let in still")
		default:
			t.Fatalf("status %d, want 503", status)
			return nil
		}
	})
	if status := alice.Fetch("/private").Status; status != http.StatusOK {
		t.Errorf("an account of the file: %d", status)
	}
	out, code := gate.Command(t, "", "user", "list")
	if code == 0 {
		t.Errorf("user list without the database: %s", out)
	}
	server.Start(t)
	e2e.Eventually(t, func() error {
		if status := dave.Fetch("/private").Status; status != http.StatusOK {
			return fmt.Errorf("afterwards: %d", status)
		}
		return nil
	})
}

// TestRedisWithoutAccounts: what has no place to be stored is refused with
// what to write.
func TestRedisWithoutAccounts(t *testing.T) {
	t.Parallel()
	config := "session:\n  secrets: [" + nodeSecret + "]\n  store: redis\n  redis: {url: \"" + e2e.StartRedis(t).URL + "\"}\n" + e2e.Standard(e2e.Serve(t, "app"))
	gate := e2e.Start(t, e2e.HTTP1, config)
	refused := func(t *testing.T) {
		t.Helper()
		out, code := gate.Command(t, "four words of dave\n", "user", "add", "dave", "--password-stdin")
		if code == 0 || !strings.Contains(out, "session.postgres.url") {
			t.Errorf("exit status %d: %s", code, out)
		}
		if list := gate.Must(t, "", "user", "list"); !strings.Contains(list, "alice") {
			t.Errorf("user list: %s", list)
		}
	}
	refused(t) // by the server
	gate.Stop(t)
	refused(t) // by the command line alone
}

// TestNewerSchema: a program that is too old for its database says so and ends.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	d := e2e.Postgres(t)
	config := "session:\n  secrets: [" + nodeSecret + "]\n  store: postgres\n  postgres: {url: \"" + d.URL + "\"}\n" + e2e.Standard(e2e.Serve(t, "app"))
	gate := e2e.Start(t, e2e.HTTP1, config)
	gate.Stop(t)
	d.Do(t, "INSERT INTO gatehouse.versions (version) VALUES (999)")
	gate.Exec(t)
	if code := gate.Ended(t); code != 1 || !strings.Contains(gate.Log(), "start the newer program") {
		t.Errorf("exit status %d: %s", code, gate.Log())
	}
}
