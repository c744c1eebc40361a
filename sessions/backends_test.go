package sessions

import (
	"path/filepath"
	"testing"

	"gatehouse/internal/boltfile"
)

// A Backend is a store of the tests.
type Backend struct {
	Name   string
	Stands string // for which of Django's

	// Open opens an empty store; inner is what lies below a cache.
	Open func(tb testing.TB) (outer, inner Store)

	// Damage returns what may have become of a record, as functions that do it
	// to the record under a key. nil: the store keeps no bytes.
	Damage func(t *testing.T, inner Store) map[string]func(key string)
}

// backends returns the stores that need no server.
func backends() []Backend {
	return []Backend{
		{"memory", "cache", openMemory, nil},
		{"bolt", "db", openBolt, damageBolt},
		{"cached", "cached_db", openCached, damageBolt},
	}
}

// StoreTests are the tests that every store has to pass. Those of the stores
// that need a server are run by sessions_test, which alone may import them.
var StoreTests = map[string]func(*testing.T, []Backend){
	"Django":                          testDjango,
	"MaxHoldsOverTwoNodes":            testMaxHoldsOverTwoNodes,
	"SessionsEndBesideADamagedRecord": testSessionsEndBesideADamagedRecord,
	"AttackForgedRecord":              testAttackForgedRecord,
	"AttackLaterExpiry":               testAttackLaterExpiry,
	"FormerRecord":                    testFormerRecord,
}

func openMemory(testing.TB) (outer, inner Store) { m := NewMemory(); return m, m }

func openBolt(tb testing.TB) (outer, inner Store) {
	tb.Helper()
	b := boltStore(tb)
	return b, b
}

func openCached(tb testing.TB) (outer, inner Store) {
	tb.Helper()
	b := boltStore(tb)
	return NewCached(b, 1<<24), b
}

func boltStore(tb testing.TB) *Bolt {
	tb.Helper()
	db, err := boltfile.Open(filepath.Join(tb.TempDir(), "gatehouse.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	b, err := NewBolt(db)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func damageBolt(t *testing.T, inner Store) map[string]func(key string) {
	t.Helper()
	b, ok := inner.(*Bolt)
	if !ok {
		t.Fatalf("%T is no Bolt", inner)
	}
	return map[string]func(string){
		"other bytes": func(key string) { rawRecord(t, b, key, []byte("damaged")) },
		"no bytes":    func(key string) { rawRecord(t, b, key, []byte{}) },
	}
}
