package account_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"go.etcd.io/bbolt"

	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// a hash of ours that no test has the password of
const someHash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U"

// cheap makes hashes that cost next to nothing.
var cheap = password.NewHasher(password.Options{Params: password.Params{Memory: 64, Time: 1, Lanes: 1}})

// Django 99.
func TestNormalizeName(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "alice", "alice"},
		{"with case", "Alice", "Alice"},
		{"full width", "ａlice", "alice"},
		{"ligature", "oﬃce", "office"},
		{"composed", "Zoe\u0308", "Zoë"},
		{"space inside", "alice b", "alice b"},
		{"address", "a@example.com", "a@example.com"},
		{"256 bytes", strings.Repeat("a", 256), strings.Repeat("a", 256)},
		{"empty", "", ""},
		{"257 bytes", strings.Repeat("a", 257), ""},
		{"grows by NFKC", strings.Repeat("\ufdfa", 85), ""},
		{"space before", " alice", ""},
		{"space behind", "alice ", ""},
		{"wide space behind", "alice\u3000", ""},
		{"NUL", "ali\x00ce", ""},
		{"line break", "alice\nroot", ""},
		{"CR LF", "alice\r\nX-Admin: 1", ""},
		{"escape", "\x1b[31malice", ""},
		{"C1 control", "alice\u0085", ""},
		{"direction override", "alice\u202e", ""},
		{"zero width", "al\u200bice", ""},
		{"line separator", "al\u2028ice", ""},
		{"not UTF-8", "alice\xff", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := account.NormalizeName(c.in)
			if (err == nil) != (c.want != "") || got != c.want {
				t.Errorf("NormalizeName(%q) = %q, %v; want %q", c.in, got, err, c.want)
			}
		})
	}
}

func FuzzNormalizeName(f *testing.F) {
	for _, s := range []string{"alice", "ａ", " x", "\u00a8", "a\u0308", "\xff", "\u202e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := account.NormalizeName(s)
		if err != nil {
			if got != "" {
				t.Errorf("%q: %q beside an error", s, got)
			}
			return
		}
		if again, err := account.NormalizeName(got); err != nil || again != got {
			t.Errorf("%q is %q once, then %q, %v", s, got, again, err)
		}
		if len(got) == 0 || len(got) > 256 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\r\n\x1b\x7f") {
			t.Errorf("%q gives %q", s, got)
		}
	})
}

func openDB(tb testing.TB, file string) (*account.Database, func()) {
	tb.Helper()
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	d, err := account.NewDatabase(db)
	if err != nil {
		tb.Fatal(err)
	}
	closed := false
	stop := func() {
		if !closed {
			closed = true
			if err := db.Close(); err != nil {
				tb.Error(err)
			}
		}
	}
	tb.Cleanup(stop)
	return d, stop
}

// A databaseTest is run on accounts in each place that can hold them; see
// onBolt and TestDatabaseInPostgres. open returns the accounts as they are
// there; called again, it is another process that comes after the first, or
// beside it where several may.
type databaseTest func(t *testing.T, open func() *account.Database)

// onBolt runs a test on accounts in a file.
func onBolt(t *testing.T, test databaseTest) {
	t.Helper()
	t.Parallel()
	file, stop := filepath.Join(t.TempDir(), "a.db"), func() {}
	test(t, func() (d *account.Database) {
		stop()
		d, stop = openDB(t, file)
		return d
	})
}

func TestDatabase(t *testing.T) { onBolt(t, testDatabase) }

func testDatabase(t *testing.T, open func() *account.Database) {
	ctx := t.Context()
	d := open()
	alice := account.Account{Name: "ａlice", PasswordHash: secret.New(someHash), Email: "a@example.com", DisplayName: "Alice", Groups: []string{"staff"}}
	if err := d.Add(ctx, alice); err != nil {
		t.Fatal(err)
	}
	if err := d.Add(ctx, account.Account{Name: "alice", PasswordHash: secret.New(someHash)}); !errors.Is(err, account.ErrExists) {
		t.Errorf("Add twice: %v", err)
	}
	first, err := d.Account(ctx, "alice")
	if err != nil || first.Email != "a@example.com" || first.Stamp == "" || first.Created.IsZero() || first.Source != "database" {
		t.Fatalf("Account: %+v, %v", first, err)
	}
	for _, name := range []string{"Alice", "bob", "", " alice"} {
		if _, err := d.Account(ctx, name); !errors.Is(err, account.ErrNoAccount) {
			t.Errorf("Account(%q): %v, want ErrNoAccount", name, err)
		}
	}

	if err := d.Change(ctx, "alice", func(a *account.Account) error {
		a.Disabled, a.Stamp, a.Name, a.PasswordHash = true, "moved", "mallory", secret.New("x")
		a.Groups[0] = "admins"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	changed, err := d.Account(ctx, "alice")
	if err != nil || !changed.Disabled || changed.Groups[0] != "admins" || changed.Stamp == first.Stamp || changed.Stamp == "moved" || changed.PasswordHash.Reveal() != someHash {
		t.Errorf("after Change: %+v, %v", changed, err)
	}
	if first.Groups[0] != "staff" {
		t.Error("Change reaches into accounts that were handed out")
	}
	wrong := errors.New("no")
	if err := d.Change(ctx, "alice", func(a *account.Account) error { a.Disabled = false; return wrong }); !errors.Is(err, wrong) {
		t.Errorf("Change: %v", err)
	}
	if err := d.Change(ctx, "alice", func(a *account.Account) error { a.Groups = []string{"a,admins"}; return nil }); err == nil {
		t.Error("a group with a comma is stored")
	}
	if now, _ := d.Account(ctx, "alice"); !now.Disabled || now.Groups[0] != "admins" {
		t.Errorf("a failed Change was stored: %+v", now)
	}

	better := secret.New(strings.Replace(someHash, "t=2", "t=3", 1))
	if err := d.Upgrade(ctx, "alice", secret.New("another"), better); err != nil {
		t.Fatal(err)
	}
	if now, _ := d.Account(ctx, "alice"); now.PasswordHash.Reveal() != someHash {
		t.Error("Upgrade replaced a hash that had changed meanwhile")
	}
	if err := d.Upgrade(ctx, "alice", secret.New(someHash), better); err != nil {
		t.Fatal(err)
	}
	if now, _ := d.Account(ctx, "alice"); now.PasswordHash.Reveal() != better.Reveal() || now.Stamp != changed.Stamp {
		t.Error("Upgrade did not replace the hash alone")
	}
	stamp, err := d.SetPassword(ctx, "alice", secret.New(someHash))
	if err != nil || stamp == "" || stamp == first.Stamp {
		t.Errorf("SetPassword: %q, %v", stamp, err)
	}
	if _, err := d.SetPassword(ctx, "alice", secret.New("plain text")); err == nil {
		t.Error("plain text is stored as a hash")
	}

	d = open() // what was stored is on disk
	if now, err := d.Account(ctx, "alice"); err != nil || now.Stamp != stamp || !now.Disabled || now.PasswordHash.Reveal() != someHash {
		t.Errorf("after a restart: %+v, %v", now, err)
	}
	if err := d.Delete(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Account(ctx, "alice"); !errors.Is(err, account.ErrNoAccount) {
		t.Errorf("after Delete: %v", err)
	}
	for what, err := range map[string]error{
		"Delete": d.Delete(ctx, "alice"), "Upgrade": d.Upgrade(ctx, "alice", better, better),
		"Change": d.Change(ctx, "alice", func(*account.Account) error { return nil }),
	} {
		if !errors.Is(err, account.ErrNoAccount) {
			t.Errorf("%s of nobody: %v", what, err)
		}
	}
	if _, err := d.SetPassword(ctx, "alice", better); !errors.Is(err, account.ErrNoAccount) {
		t.Errorf("SetPassword of nobody: %v", err)
	}
}

func TestDatabaseLists(t *testing.T) { onBolt(t, testDatabaseLists) }

func testDatabaseLists(t *testing.T, open func() *account.Database) {
	d := open()
	const n = 600 // more than one page
	var wg sync.WaitGroup
	slots := make(chan struct{}, 50) // who waits longer than a few seconds is told so
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := d.Add(t.Context(), account.Account{Name: fmt.Sprintf("user%04d", i), PasswordHash: secret.New(someHash)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	i := 0
	for a, err := range d.List(t.Context()) {
		if want := fmt.Sprintf("user%04d", i); err != nil || a.Name != want {
			t.Fatalf("account %d: %q, %v; want %q", i, a.Name, err, want)
		}
		i++
		if i%100 == 0 { // the list may be changed by who reads it
			if err := d.Delete(t.Context(), a.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if i != n {
		t.Errorf("%d accounts, want %d", i, n)
	}
}

func TestDatabaseCannotTellWhatItCannotRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	d, err := account.NewDatabase(db)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{"broken": "{", "newer": `{"version":2}`, "empty": ""} {
		if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("accounts")).Put([]byte(name), []byte(v)) }); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Account(t.Context(), name); err == nil || errors.Is(err, account.ErrNoAccount) {
			t.Errorf("%s: %v, want could not tell", name, err)
		}
		if err := d.Delete(t.Context(), name); err != nil {
			t.Errorf("%s cannot be deleted: %v", name, err)
		}
	}
}

// What Account gives after a change has returned is what was changed, however
// many read meanwhile.
func TestDatabaseRemembersNothingStale(t *testing.T) { onBolt(t, testDatabaseRemembersNothingStale) }

func testDatabaseRemembersNothingStale(t *testing.T, open func() *account.Database) {
	d := open()
	if err := d.Add(t.Context(), account.Account{Name: "alice", PasswordHash: secret.New(someHash)}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := d.Account(context.Background(), "alice"); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for i := range 40 {
		want := strconv.Itoa(i)
		if err := d.Change(t.Context(), "alice", func(a *account.Account) error { a.DisplayName = want; return nil }); err != nil {
			t.Error(err)
		}
		if a, err := d.Account(t.Context(), "alice"); err != nil || a.DisplayName != want {
			t.Errorf("after change %d: %q, %v", i, a.DisplayName, err)
		}
	}
	close(stop)
	readers.Wait()
}

// TestDatabaseLosesNoChange: of changes at the same time, each counts.
func TestDatabaseLosesNoChange(t *testing.T) { onBolt(t, testDatabaseLosesNoChange) }

func testDatabaseLosesNoChange(t *testing.T, open func() *account.Database) {
	d := open()
	var adders, changers sync.WaitGroup
	var added atomic.Int32
	for range 8 {
		adders.Go(func() {
			err := d.Add(t.Context(), account.Account{Name: "alice", PasswordHash: secret.New(someHash)})
			if err == nil {
				added.Add(1)
			} else if !errors.Is(err, account.ErrExists) {
				t.Error(err)
			}
		})
	}
	if adders.Wait(); added.Load() != 1 {
		t.Fatalf("%d of 8 have added the same account", added.Load())
	}
	for i := range 8 {
		changers.Go(func() {
			if err := d.Change(t.Context(), "alice", func(a *account.Account) error {
				a.Groups = append(a.Groups, fmt.Sprint("group", i))
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	changers.Wait()
	if a, err := d.Account(t.Context(), "alice"); err != nil || len(a.Groups) != 8 {
		t.Errorf("groups after 8 changes: %q, %v", a.Groups, err)
	}
}

func TestNoDatabase(t *testing.T) {
	why := errors.New("write session.postgres.url")
	d := account.NoDatabase(why)
	if _, err := d.Account(t.Context(), "alice"); !errors.Is(err, account.ErrNoAccount) {
		t.Errorf("Account: %v", err)
	}
	for a, err := range d.List(t.Context()) {
		t.Errorf("List yields %v, %v", a, err)
	}
	if err := d.Add(t.Context(), account.Account{Name: "alice", PasswordHash: secret.New(someHash)}); !errors.Is(err, why) {
		t.Errorf("Add: %v", err)
	}
	if err := d.Delete(t.Context(), "alice"); !errors.Is(err, why) {
		t.Errorf("Delete: %v", err)
	}
}

func TestFileAccounts(t *testing.T) {
	user := account.UserConfig{Name: "ａlice", PasswordHash: secret.New(someHash), Groups: []string{"staff"}}
	one, err := account.FileSource(cheap, []account.UserConfig{user})
	if err != nil {
		t.Fatal(err)
	}
	a, err := one.Account(t.Context(), "alice")
	if err != nil || a.Stamp == "" || a.Source != "file" || !a.Created.IsZero() {
		t.Errorf("%+v, %v", a, err)
	}
	if wide, err := one.Account(t.Context(), "ａlice"); err != nil || wide.Name != "alice" {
		t.Errorf("%+v, %v", wide, err)
	}
	if _, err := one.Account(t.Context(), "Alice"); !errors.Is(err, account.ErrNoAccount) {
		t.Errorf("names are not compared with case: %v", err)
	}
	user.PasswordHash = secret.New(strings.Replace(someHash, "t=2", "t=3", 1))
	two, err := account.FileSource(cheap, []account.UserConfig{user})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := two.Account(t.Context(), "alice"); b.Stamp == a.Stamp {
		t.Error("the stamp stays with another hash")
	}
	if _, err := account.FileSource(cheap, []account.UserConfig{user, {Name: "alice", PasswordHash: user.PasswordHash}}); err == nil {
		t.Error("two spellings of one name are two accounts")
	}
	if _, err := account.FileSource(cheap, []account.UserConfig{{Name: "alice", PasswordHash: secret.New("hunter2")}}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a plain password: %v", err)
	}
}

// failing is a source that cannot tell.
type failing struct{ err error }

func (failing) Name() string { return "failing" }

func (f failing) Account(context.Context, string) (account.Account, error) {
	return account.Account{}, f.err
}

func (f failing) Verify(context.Context, string, string) (account.Account, error) {
	return account.Account{}, f.err
}

func (f failing) Current(context.Context, account.Ref) (account.Account, error) {
	return account.Account{}, f.err
}

func (f failing) Confirm(context.Context, account.Ref) (account.Account, error) {
	return account.Account{}, f.err
}

// Django 102.
func TestInOrder(t *testing.T) {
	file, err := account.FileSource(cheap, []account.UserConfig{{Name: "alice", PasswordHash: secret.New(someHash)}})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := openDB(t, filepath.Join(t.TempDir(), "a.db"))
	for _, name := range []string{"alice", "bob"} {
		if err := d.Add(t.Context(), account.Account{Name: name, PasswordHash: secret.New(someHash)}); err != nil {
			t.Fatal(err)
		}
	}
	both := account.InOrder(cheap, file, d.Source(cheap, slog.New(slog.DiscardHandler)))
	for name, source := range map[string]string{"alice": "file", "bob": "database"} {
		if a, err := both.Account(t.Context(), name); err != nil || a.Source != source {
			t.Errorf("%s: %q, %v; want %q", name, a.Source, err, source)
		}
	}
	if _, err := both.Account(t.Context(), "carol"); !errors.Is(err, account.ErrNoAccount) {
		t.Errorf("carol: %v", err)
	}
	down := errors.New("down")
	if _, err := account.InOrder(cheap, failing{down}, d.Source(cheap, slog.New(slog.DiscardHandler))).Account(t.Context(), "bob"); !errors.Is(err, down) {
		t.Errorf("a source that could not tell is passed over: %v", err)
	}
}

func TestUserConfigCheck(t *testing.T) {
	good := account.UserConfig{Name: "alice", PasswordHash: secret.New(someHash), Email: "a@example.com", DisplayName: "Alice", Groups: []string{"staff"}}
	for _, c := range []struct {
		name   string
		change func(*account.UserConfig)
		bad    string
		warn   string
	}{
		{"good", func(*account.UserConfig) {}, "", ""},
		{"no name", func(u *account.UserConfig) { u.Name = "" }, "name", ""},
		{"no hash", func(u *account.UserConfig) { u.PasswordHash = secret.Text{} }, "password_hash", ""},
		{"plain text", func(u *account.UserConfig) { u.PasswordHash = secret.New("hunter2") }, "password_hash", ""},
		{"cheap hash", func(u *account.UserConfig) {
			u.PasswordHash = secret.New("$2b$04$jXwEHqpTx/yisCAVfLCcPOKN4b/tC8l21XK/IO3ddrOvIKTL.318S")
		}, "", "password_hash"},
		{"email with a line break", func(u *account.UserConfig) { u.Email = "a@b\r\nX: y" }, "email", ""},
		{"email with two at signs", func(u *account.UserConfig) { u.Email = "a@evil@example.com" }, "email", ""},
		{"display name with an escape", func(u *account.UserConfig) { u.DisplayName = "\x1b[2J" }, "display_name", ""},
		{"group with a comma", func(u *account.UserConfig) { u.Groups = []string{"staff", "a,admins"} }, "groups[1]", ""},
		{"empty group", func(u *account.UserConfig) { u.Groups = []string{""} }, "groups[0]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := good
			c.change(&u)
			var found problem.List
			u.Check(&found)
			for _, p := range slices.Concat(found.Errors, found.Warnings) {
				if !strings.Contains(p.Message, ";") && p.Key != "name" || strings.Contains(p.Message, "hunter2") || strings.Contains(p.Message, "%!") {
					t.Error(p)
				}
			}
			if bad, warn := keysOf(found.Errors), keysOf(found.Warnings); bad != c.bad || warn != c.warn {
				t.Errorf("errors %q, warnings %q; want %q, %q", bad, warn, c.bad, c.warn)
			}
		})
	}
}

// keysOf returns the keys of a list of problems, with spaces between.
func keysOf(list []problem.Problem) string {
	var keys []string
	for _, p := range list {
		keys = append(keys, p.Key)
	}
	return strings.Join(keys, " ")
}

func ExampleDatabase() {
	dir, err := os.MkdirTemp("", "gatehouse-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := bbolt.Open(filepath.Join(dir, "gatehouse.db"), 0o600, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	accounts, err := account.NewDatabase(db)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	hash, err := password.NewHasher(password.Options{}).Hash(ctx, "correct horse battery staple")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(accounts.Add(ctx, account.Account{Name: "alice", PasswordHash: hash, Groups: []string{"staff"}}))
	a, err := accounts.Account(ctx, "alice")
	fmt.Println(a.Name, a.Groups, a.PasswordHash, err)
	// Output:
	// <nil>
	// alice [staff] [redacted] <nil>
}
