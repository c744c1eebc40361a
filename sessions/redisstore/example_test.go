package redisstore_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"gatehouse/sessions"
	"gatehouse/sessions/redisstore"
)

// A store does not connect before it is used. Mistakes in the URL are found at once.
func ExampleNew() {
	store, err := redisstore.New(redisstore.Options{URL: "redis+sentinel://gatehouse@s1:26379,s2:26379/0?master=mymaster", Password: "..."})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("closed:", store.Close())
	_, err = redisstore.New(redisstore.Options{URL: "redis://h1,h2"})
	fmt.Println(err)
	// Output:
	// closed: <nil>
	// sessions: the URL of redis names 2 servers; write redis+cluster or redis+sentinel in place of redis
}

// Sessions that several servers share. Each of them keeps copies in its own memory, and
// hears from Redis when a session has ended on another one.
func Example() { //nolint:testableexamples // it needs a server
	redis, err := redisstore.New(redisstore.Options{
		URL:       "rediss://app@redis.example.com:6379/0",
		Password:  os.Getenv("REDIS_PASSWORD"),
		KeyPrefix: "app:",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	store := sessions.NewCached(redis, 100<<20)
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
