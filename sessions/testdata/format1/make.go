// This program has made the files beside it, and those of the same folder in
// redisstore/testdata and pgstore/testdata, with the last version that wrote records of
// format 1 (Gatehouse before "format 2" in CHANGELOG.md). It was run in the
// folder of that version, whose names it uses:
//
//	go run make.go OUT REDIS-URL POSTGRES-URL
//
// then redis.txt was read from Redis (SCAN, TYPE, GET, ZRANGE WITHSCORES), and
// postgres.sql written by pg_dump --schema=gatehouse --inserts --no-owner, and
// ids.tsv was divided among the three.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/boltfile"
	"gatehouse/internal/postgres"
	"gatehouse/sessions"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out, redisURL, postgresURL string) error {
	file, err := boltfile.Open(filepath.Join(out, "gatehouse.db"))
	if err != nil {
		return err
	}
	defer file.Close()
	bolt, err := sessions.NewBolt(file)
	if err != nil {
		return err
	}
	redis, err := sessions.NewRedis(sessions.RedisOptions{URL: redisURL})
	if err != nil {
		return err
	}
	db, err := postgres.Open(postgres.Options{URL: postgresURL})
	if err != nil {
		return err
	}
	defer db.Close()
	ids := ""
	for name, store := range map[string]sessions.Store{"bolt": bolt, "redis": redis, "postgres": sessions.NewPostgres(db)} {
		for _, user := range []string{"alice", "bøb\\"} {
			id, err := signIn(store, user)
			if err != nil {
				return err
			}
			ids += name + "\t" + user + "\t" + id + "\n"
		}
	}
	return os.WriteFile(filepath.Join(out, "ids.tsv"), []byte(ids), 0o600)
}

// signIn makes a session of a hundred years with a value in the space "a/".
func signIn(store sessions.Store, user string) (id string, err error) {
	const century = 100 * 365 * 24 * time.Hour
	m, err := sessions.NewManager(sessions.Options{
		Store: store, Secrets: [][]byte{bytes.Repeat([]byte("format 1"), 4)}, Age: century / 2, Limit: century,
	})
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	r := httptest.NewRequest(http.MethodGet, "https://gate.example/", nil)
	s := m.Open(r)
	if err := s.Login(ctx, sessions.Login{User: user, Source: "file", Stamp: "s1", Addr: "192.0.2.7", Agent: "agent"}); err != nil {
		return "", err
	}
	h := http.Header{}
	if err := m.Commit(s, h, http.StatusOK); err != nil {
		return "", err
	}
	c, err := http.ParseSetCookie(h.Get("Set-Cookie"))
	if err != nil {
		return "", err
	}
	r.AddCookie(c)
	i, err := m.Find(r)
	if err != nil {
		return "", err
	}
	err = m.ChangeValues(r, i, "a/", true, func(v map[string]string) bool { v["k"] = "v of " + user; return true })
	if err != nil {
		return "", err
	}
	if i, err = m.Find(r); err != nil {
		return "", err
	}
	if err := store.Touch(ctx, i.Key, i.Seen.Add(time.Second), i.Expires); err != nil {
		return "", err
	}
	return s.ID(), nil
}
