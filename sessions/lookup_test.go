package sessions

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// Lookup has the three outcomes of Find, and does not extend the session.
func TestLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, Options{IdleTimeout: time.Hour})
		r := request(login(t, m, "alice"))
		i, err := m.Find(r)
		check(t, err)
		time.Sleep(40 * time.Minute)
		if got, err := m.Lookup(t.Context(), i); err != nil || !reflect.DeepEqual(got, i) {
			t.Errorf("%+v, %v; want what Find gave, %+v", got, err, i)
		}
		time.Sleep(21 * time.Minute)
		if _, err := m.Lookup(t.Context(), i); !errors.Is(err, ErrNotFound) {
			t.Errorf("after its idle time: %v, want ErrNotFound", err)
		}
		if _, err := m.Lookup(t.Context(), Info{Key: keyOf("nobody's id")}); !errors.Is(err, ErrNotFound) {
			t.Errorf("a key that there is not: %v, want ErrNotFound", err)
		}
	})
}

func TestLookupCannotTell(t *testing.T) {
	m := newManager(t, Options{Store: &deadStore{NewMemory()}})
	if _, err := m.Lookup(t.Context(), Info{Key: keyOf("x")}); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want that the store could not tell", err)
	}
}

// deadStore cannot tell.
type deadStore struct{ *Memory }

func (*deadStore) Load(context.Context, string) (Record, error) {
	return Record{}, errors.New("the store is gone")
}

// What a cache lends to readers is never what it lends to who may change it.
func TestCachedLoadIsACopy(t *testing.T) {
	c := NewCached(NewMemory(), 1<<20)
	key := keyOf("id")
	check(t, c.Create(t.Context(), key, Record{Data: []byte("data"), Expires: time.Now().Add(time.Hour)}))
	for range 2 { // read from the store, then from memory
		r, err := c.Load(t.Context(), key)
		check(t, err)
		clear(r.Data)
	}
	if r, err := c.view(t.Context(), key, time.Now()); err != nil || !bytes.Equal(r.Data, []byte("data")) {
		t.Errorf("%q, %v", r.Data, err)
	}
}
