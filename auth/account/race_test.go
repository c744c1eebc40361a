package account_test

import (
	"errors"
	"sync"
	"testing"

	"gatehouse/auth/account"
	"gatehouse/internal/secret"
)

// An upgrade of the hash at a login must not undo a reset, and no other change
// undoes one that it did not see. All of it at once, in every store.
func TestChangesDoNotUndoEachOther(t *testing.T) { onBolt(t, testChangesDoNotUndoEachOther) }

func testChangesDoNotUndoEachOther(t *testing.T, open func() *account.Database) {
	ctx, d := t.Context(), open()
	hashes := make([]secret.Text, 4)
	for i := range hashes {
		h, err := cheap.Hash(ctx, "a long password, the same")
		if err != nil {
			t.Fatal(err)
		}
		hashes[i] = h
	}
	if err := d.Add(ctx, account.Account{Name: "alice", PasswordHash: hashes[0]}); err != nil {
		t.Fatal(err)
	}
	confirmed, err := d.Latest(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := d.SetPassword(ctx, "alice", hashes[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Upgrade(ctx, "alice", hashes[0], hashes[2]); err != nil {
		t.Error(err)
	}
	if _, err := d.ReplacePassword(ctx, "alice", confirmed.Stamp, hashes[3]); !errors.Is(err, account.ErrMoved) {
		t.Errorf("a change that was overtaken: %v, want ErrMoved", err)
	}
	if _, err := d.ReplacePassword(ctx, "alice", "", hashes[3]); !errors.Is(err, account.ErrMoved) {
		t.Errorf("a change of nobody: %v, want ErrMoved", err)
	}
	if a, err := d.Latest(ctx, "alice"); err != nil || a.Stamp != stamp || a.PasswordHash.Reveal() != hashes[1].Reveal() {
		t.Errorf("the reset is undone: %v", err)
	}
	// Of many that have confirmed the same password, one changes it.
	var mu sync.Mutex
	var wg sync.WaitGroup
	var done int
	for range 20 {
		wg.Go(func() {
			_, err := d.ReplacePassword(ctx, "alice", stamp, hashes[3])
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done++
			case !errors.Is(err, account.ErrMoved):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if done != 1 {
		t.Errorf("%d changes were stored, want 1", done)
	}
}
