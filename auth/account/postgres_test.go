//go:build e2e

package account_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gatehouse/auth/account"
	"gatehouse/internal/e2e"
	"gatehouse/internal/postgres"
	"gatehouse/internal/secret"
)

func TestDatabaseInPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]databaseTest{
		"Database":                  testDatabase,
		"Lists":                     testDatabaseLists,
		"RemembersNothingStale":     testDatabaseRemembersNothingStale,
		"LosesNoChange":             testDatabaseLosesNoChange,
		"ChangesDoNotUndoEachOther": testChangesDoNotUndoEachOther,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := e2e.Postgres(t).URL
			test(t, func() *account.Database { return openPostgres(t, url) })
		})
	}
}

// openPostgres returns the accounts of a node until the end of the test.
func openPostgres(tb testing.TB, url string) *account.Database {
	tb.Helper()
	db, err := postgres.Open(postgres.Options{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	d := account.NewPostgres(db)
	tb.Cleanup(func() {
		if err := errors.Join(d.Close(), db.Close()); err != nil {
			tb.Error(err)
		}
	})
	return d
}

// TestAccountsOfAnotherNode: what one node changes counts on the other, which
// has the account in memory, long before the three seconds are over.
func TestAccountsOfAnotherNode(t *testing.T) {
	t.Parallel()
	url := e2e.Postgres(t).URL
	here, there := openPostgres(t, url), openPostgres(t, url)
	ctx := t.Context()
	if err := here.Add(ctx, account.Account{Name: "zo\u00eb", PasswordHash: secret.New(someHash)}); err != nil {
		t.Fatal(err)
	}
	zoe, err := here.Account(ctx, "zo\u00eb")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := there.Account(ctx, "zo\u00eb"); err != nil {
			t.Fatal(err)
		}
		now := fmt.Sprint("now ", i)
		if err := here.Change(ctx, "zo\u00eb", func(a *account.Account) error { a.DisplayName = now; return nil }); err != nil {
			t.Fatal(err)
		}
		if a, err := account.InOrder(cheap, account.NoDatabase(nil).Source(cheap, nil), there.Source(cheap, nil)).Confirm(ctx, zoe.Ref()); err != nil || a.DisplayName != now {
			t.Errorf("Confirm returns %q, %v, want %q", a.DisplayName, err, now)
		}
		want := fmt.Sprint("name ", i)
		if _, err := there.Account(ctx, "zo\u00eb"); err != nil {
			t.Fatal(err)
		}
		if err := here.Change(ctx, "zo\u00eb", func(a *account.Account) error { a.DisplayName = want; return nil }); err != nil {
			t.Fatal(err)
		}
		e2e.Eventually(t, func() error {
			if a, err := there.Account(ctx, "zo\u00eb"); err != nil || a.DisplayName != want {
				return fmt.Errorf("%q, %w", a.DisplayName, err)
			}
			return nil
		})
	}
	if err := here.Delete(ctx, "zo\u00eb"); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, func() error {
		if _, err := there.Account(ctx, "zo\u00eb"); !errors.Is(err, account.ErrNoAccount) {
			return fmt.Errorf("a deleted account: %w", err)
		}
		return nil
	})
}

// TestAccountsWithoutTheirDatabase: what is not known is not denied.
func TestAccountsWithoutTheirDatabase(t *testing.T) {
	t.Parallel()
	server := e2e.StartPostgres(t)
	d := openPostgres(t, server.Database(t).URL)
	ctx := t.Context()
	if err := d.Add(ctx, account.Account{Name: "alice", PasswordHash: secret.New(someHash)}); err != nil {
		t.Fatal(err)
	}
	life, question := d.SetPatience(100*time.Millisecond, e2e.Patience)
	if life != 3*time.Second || question != 3*time.Second {
		t.Errorf("an account is believed for %s and asked for in %s, want 3s", life, question)
	}
	server.Stop(t)
	e2e.Eventually(t, func() error {
		if _, err := d.Account(ctx, "alice"); err == nil {
			return errors.New("the account is known still")
		}
		return nil
	})
	for name, err := range map[string]error{
		"Add":    d.Add(ctx, account.Account{Name: "bob", PasswordHash: secret.New(someHash)}),
		"Delete": d.Delete(ctx, "alice"),
	} {
		if err == nil || errors.Is(err, account.ErrNoAccount) || errors.Is(err, account.ErrExists) {
			t.Errorf("%s: %v, want could not tell", name, err)
		}
	}
	if _, err := d.Account(ctx, "alice"); err == nil || errors.Is(err, account.ErrNoAccount) {
		t.Errorf("Account: %v, want could not tell", err)
	}
	server.Start(t)
	e2e.Eventually(t, func() error { _, err := d.Account(ctx, "alice"); return err })
	server.Pause(t)
	d.SetPatience(100*time.Millisecond, 500*time.Millisecond)
	begin := time.Now()
	if err := d.Delete(ctx, "alice"); err == nil || errors.Is(err, account.ErrNoAccount) {
		t.Errorf("Delete from a server that hangs: %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("a server that hangs was waited for %s", took)
	}
	d.SetPatience(100*time.Millisecond, e2e.Patience)
	server.Resume(t)
	e2e.Eventually(t, func() error {
		if err := d.Delete(ctx, "alice"); err != nil && !errors.Is(err, account.ErrNoAccount) {
			return err
		}
		return nil
	})
}

// Accounts that another node adds are found by their address soon.
func TestAddressesOfAnotherNode(t *testing.T) {
	t.Parallel()
	url := e2e.Postgres(t).URL
	here, there := openPostgres(t, url), openPostgres(t, url)
	for _, name := range []string{"one", "two"} {
		if err := here.Add(t.Context(), account.Account{Name: name, PasswordHash: secret.New(someHash), Email: name + "@example.com"}); err != nil {
			t.Fatal(err)
		}
		e2e.Eventually(t, func() error {
			return account.FindAlias(t.Context(), account.InOrder(cheap, there.Source(cheap, nil)), true, name+"@EXAMPLE.com", name)
		})
	}
}
