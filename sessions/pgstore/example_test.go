package pgstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gatehouse/internal/postgres"
	"gatehouse/sessions"
	"gatehouse/sessions/pgstore"
	"gatehouse/sessions/redisstore"
)

// Sessions that several servers share. Each of them keeps copies in its own memory, and
// hears from the database when a session has ended on another one.
func Example() { //nolint:testableexamples // it needs a server
	db, err := postgres.Open(postgres.Options{URL: "postgres://app@db.example.com/app?sslmode=verify-full", Log: slog.Default()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() //nolint:errcheck // an example
	store := sessions.NewCached(pgstore.New(db), 100<<20)
	defer store.Close() //nolint:errcheck // an example

	m, err := sessions.NewManager(sessions.Options{
		Store:       store,
		Secrets:     [][]byte{make([]byte, 32)}, // the same on all servers
		IdleTimeout: 30 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	n, err := m.RevokeUser(context.Background(), "alice", "revoked", nil) // on all servers
	fmt.Println(n, err)
}

// Redis between the servers and the database, for when the database is far away. What
// counts is in the database alone: Redis may be emptied, or end, at any time.
func ExampleCached() { //nolint:testableexamples // it needs servers
	db, err := postgres.Open(postgres.Options{URL: "postgres://app@db.example.com/app?sslmode=verify-full"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() //nolint:errcheck // an example
	cache, err := redisstore.NewCache(redisstore.Options{URL: "rediss://cache.example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	shared := pgstore.NewCached(pgstore.New(db), cache, slog.Default())
	store := sessions.NewCached(shared, 100<<20) // watches shared, without which the cache is not used
	fmt.Println(store.Close())
}
