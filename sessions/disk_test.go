package sessions

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"
)

// Requirement 34: visits of nobody write nothing, with or without a dead
// cookie.
//
// Django 31, 39.
func TestAnonymousVisitsWriteNothing(t *testing.T) {
	store := boltStore(t)
	m := newManager(t, Options{Store: store})
	dead := login(t, m, "alice")
	check(t, m.Open(request(dead)).Logout(t.Context()))
	before := stat(t, store)
	for i := range 1000 {
		r := request()
		if i%2 == 0 {
			r = request(dead)
		}
		wantNobody(t, m, r, "a visit")
		s := m.Open(r)
		if _, err := s.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(t, m.Commit(s, http.Header{}, http.StatusOK))
	}
	m.Close()
	if after := stat(t, store); after != before {
		t.Errorf("the file was %s, and is %s", before, after)
	}
}

func stat(t *testing.T, b *Bolt) string {
	t.Helper()
	info, err := os.Stat(b.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(info.Size(), " bytes of ", info.ModTime().UnixNano())
}

// Requirement 86: with no room for new sessions, those that exist are served,
// logins fail with what is neither a yes nor a no, and it all goes on when
// there is room again.
//
// Django 89.
func TestDiskFull(t *testing.T) {
	store := boltStore(t)
	m := newManager(t, Options{Store: NewCached(store, 1<<24)})
	alice := login(t, m, "alice")
	info, err := os.Stat(store.db.Path())
	check(t, err)
	store.db.MaxSize = int(info.Size())
	for range 1000 {
		s := m.Open(request())
		check(t, s.Set(t.Context(), "k", make([]byte, 1000)))
		if err = s.Login(t.Context(), Login{User: "bob"}); err != nil {
			if s.ID() != "" {
				t.Error("a login that failed has an id")
			}
			break
		}
	}
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) || errors.Is(err, ErrConflict) {
		t.Fatalf("login without room: %v", err)
	}
	wantUser(t, m, request(alice), "alice")
	store.db.MaxSize = 0
	wantUser(t, m, request(login(t, m, "carol")), "carol")
	check(t, store.CheckHealth(t.Context()))
	check(t, store.db.Close())
	if err := store.CheckHealth(t.Context()); err == nil {
		t.Error("a file that takes nothing is fit for use")
	}
}

// Requirement 88: sessions that come and go do not make the file grow.
func TestChurn(t *testing.T) {
	store := boltStore(t)
	store.db.NoSync = true
	size := func() int64 {
		info, err := os.Stat(store.db.Path())
		check(t, err)
		return info.Size()
	}
	var first int64
	for round := range 20 {
		for i := range 200 {
			check(t, store.Create(t.Context(), keyOf(strconv.Itoa(round*1000+i)), Record{User: "alice", Expires: time.Now(), Data: make([]byte, 200)}))
		}
		gone, err := store.DeleteExpired(t.Context(), time.Now(), 1000)
		if len(gone) != 200 || err != nil {
			t.Fatalf("DeleteExpired = %d, %v", len(gone), err)
		}
		if round == 3 {
			first = size()
		}
	}
	if last := size(); last > 2*first {
		t.Errorf("the file has grown from %d to %d bytes", first, last)
	}
}
