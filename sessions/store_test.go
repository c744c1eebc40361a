package sessions_test

import (
	"path/filepath"
	"testing"

	"gatehouse/internal/boltfile"
	"gatehouse/sessions"
	"gatehouse/sessions/storetest"
)

func openBolt(tb testing.TB) *sessions.Bolt {
	tb.Helper()
	db, err := boltfile.Open(filepath.Join(tb.TempDir(), "gatehouse.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	s, err := sessions.NewBolt(db)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Django 60, 75, 77, 81.
func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) sessions.Store { return sessions.NewMemory() })
}

// Django 60, 75, 77, 78, 80.
func TestBolt(t *testing.T) {
	storetest.Run(t, func(t *testing.T) sessions.Store {
		t.Helper()
		return openBolt(t)
	})
}

// The Store of the example does all that is asked of one.
func TestExampleStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) sessions.Store { return &mapStore{records: map[string]sessions.Record{}} })
}

// Django 83.
func TestCachedBolt(t *testing.T) {
	storetest.Run(t, func(t *testing.T) sessions.Store {
		t.Helper()
		return sessions.NewCached(openBolt(t), 1<<24)
	})
}

// A cache with hardly any room forgets all the time, and must be right all
// the same.
func TestCachedTiny(t *testing.T) {
	storetest.Run(t, func(*testing.T) sessions.Store { return sessions.NewCached(sessions.NewMemory(), 1<<14) })
}
