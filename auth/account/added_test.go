package account_test

import (
	"context"
	"errors"
	"testing"

	"gatehouse/auth/account"
	"gatehouse/auth/password"
)

// TestAddedSource adds a source of accounts, as a directory would be: it keeps
// no hash and no stamp, and says itself whether an account still counts.
func TestAddedSource(t *testing.T) {
	hasher := password.NewHasher(password.Options{})
	file, err := account.FileSource(hasher, nil)
	if err != nil {
		t.Fatal(err)
	}
	directory := &directory{people: map[string]string{"dora": "dora's own password"}}
	sources := account.InOrder(hasher, file, directory)
	ctx := t.Context()

	found, err := sources.Verify(ctx, "dora", "dora's own password")
	if err != nil || found.Name != "dora" || found.Source != "directory" {
		t.Fatalf("Verify: %+v, %v", found, err)
	}
	for _, tt := range []struct {
		name, plain string
		want        error
	}{
		{"dora", "another password", account.ErrWrongPassword},
		{"dora", "", account.ErrWrongPassword},
		{"nobody", "dora's own password", account.ErrNoAccount},
	} {
		if _, err := sources.Verify(ctx, tt.name, tt.plain); !errors.Is(err, tt.want) {
			t.Errorf("Verify of %s with %q: %v, want %v", tt.name, tt.plain, err, tt.want)
		}
	}
	if sources.PasswordStore("directory") != nil {
		t.Error("its passwords can be changed here")
	}

	ref := found.Ref()
	if _, err := sources.Current(ctx, ref); err != nil {
		t.Errorf("Current: %v", err)
	}
	if _, err := sources.Current(ctx, account.Ref{Name: "dora", Source: "file"}); !errors.Is(err, account.ErrOtherSource) {
		t.Errorf("Current of a session of another source: %v, want %v", err, account.ErrOtherSource)
	}
	directory.down = true
	if _, err := sources.Current(ctx, ref); err == nil || errors.Is(err, account.ErrNoAccount) {
		t.Errorf("Current when the directory does not answer: %v, want that it could not tell", err)
	}
	directory.down = false
	delete(directory.people, "dora")
	if _, err := sources.Current(ctx, ref); !errors.Is(err, account.ErrNoAccount) {
		t.Errorf("Current of somebody who has left: %v, want %v", err, account.ErrNoAccount)
	}
}

// A directory is a source of people and their passwords.
type directory struct {
	people map[string]string
	down   bool
}

func (d *directory) Name() string { return "directory" }

func (d *directory) Account(_ context.Context, name string) (account.Account, error) {
	if d.down {
		return account.Account{}, errors.New("the directory does not answer")
	}
	if _, ok := d.people[name]; !ok {
		return account.Account{}, account.ErrNoAccount
	}
	return account.Account{Name: name, Source: d.Name()}, nil
}

func (d *directory) Verify(ctx context.Context, name, plain string) (account.Account, error) {
	a, err := d.Account(ctx, name)
	if err == nil && (plain == "" || d.people[name] != plain) {
		return account.Account{}, account.ErrWrongPassword
	}
	return a, err
}

func (d *directory) Current(ctx context.Context, r account.Ref) (account.Account, error) {
	a, err := d.Account(ctx, r.Name)
	if err == nil && r.Source != d.Name() {
		return account.Account{}, account.ErrOtherSource
	}
	return a, err
}

func (d *directory) Confirm(ctx context.Context, r account.Ref) (account.Account, error) {
	return d.Current(ctx, r)
}
