// Command stores is the contestant of this project (see bench/stores/contest):
// sessions.Manager on bbolt, as the gate uses it.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/bench/stores/contest"
	"gatehouse/internal/boltfile"
	"gatehouse/sessions"
)

func main() { contest.Main(open) }

// cached is how many bytes of records the gate keeps in memory.
const cached = 100 << 20

type store struct {
	db      *bbolt.DB
	bolt    *sessions.Bolt
	cached  *sessions.Cached
	manager *sessions.Manager
}

func open(dir string) (contest.Store, error) {
	db, err := boltfile.Open(filepath.Join(dir, "gatehouse.db"))
	if err != nil {
		return nil, err
	}
	s := &store{db: db}
	if s.bolt, err = sessions.NewBolt(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.cached = sessions.NewCached(s.bolt, cached)
	secret := sha256.Sum256([]byte("the same in every step"))
	s.manager, err = sessions.NewManager(sessions.Options{
		Store: s.cached, Secrets: [][]byte{secret[:]}, IdleTimeout: 6 * time.Hour, Lifetime: 12 * time.Hour,
		Cookie: sessions.Cookie{Secure: func(*http.Request) bool { return false }},
	})
	if err != nil {
		return nil, errors.Join(err, s.cached.Close(), db.Close())
	}
	return s, nil
}

func (s *store) Close() error {
	s.manager.Close()
	return errors.Join(s.cached.Close(), s.db.Close())
}

// agent is a User-Agent of usual length.
const agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// Fill creates the sessions in the order of their keys, which touches fewer
// pages, and those with tokens by signing in.
func (s *store) Fill(n, few int, expires time.Time) (tokens []string, err error) {
	s.db.NoSync = true
	keys := make([][sha256.Size]byte, n-few)
	for i := range keys {
		_, _ = rand.Read(keys[i][:]) // never fails
	}
	slices.SortFunc(keys, func(a, b [sha256.Size]byte) int { return cmp.Compare(string(a[:]), string(b[:])) })
	begin := expires.Add(-6 * time.Hour)
	err = together(len(keys), func(i int) error {
		return s.bolt.Create(context.Background(), hex.EncodeToString(keys[i][:]), sessions.Record{
			User: fmt.Sprintf("user-%07d", i), Source: "file", Stamp: "stamp", Created: begin, Login: begin, Seen: begin,
			Expires: expires, Limit: begin.Add(12 * time.Hour), Idle: 6 * time.Hour, Addr: "192.0.2.1", Agent: agent,
		})
	})
	for i := 0; i < few && err == nil; i++ {
		var cookie string
		cookie, err = s.login(fmt.Sprintf("owner-%d", i))
		tokens = append(tokens, cookie)
	}
	s.db.NoSync = false
	return tokens, errors.Join(err, s.db.Sync())
}

// together calls do for 0 to n-1 from many goroutines, so that several calls share
// a transaction of the store.
func together(n int, do func(i int) error) error {
	var (
		wg   sync.WaitGroup
		once sync.Once
		err  error
	)
	next := make(chan int)
	for range 256 {
		wg.Go(func() {
			for i := range next {
				if e := do(i); e != nil {
					once.Do(func() { err = e })
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return err
}

func (s *store) login(user string) (cookie string, err error) {
	ctx := context.Background()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://app.example.com/", nil)
	if err != nil {
		return "", err
	}
	session, h := s.manager.Open(r), http.Header{}
	if err := session.Login(ctx, sessions.Login{User: user, Source: "file", Stamp: "stamp", Addr: "192.0.2.1", Agent: agent}); err != nil {
		return "", err
	}
	if err := s.manager.Commit(session, h, http.StatusOK); err != nil {
		return "", err
	}
	cookie, _, _ = strings.Cut(h.Get("Set-Cookie"), ";")
	return cookie, nil
}

func (s *store) Login(user string) error {
	_, err := s.login(user)
	return err
}

func (s *store) Find(token string) (string, error) {
	info, err := s.manager.Find(&http.Request{Method: http.MethodGet, Header: http.Header{"Cookie": {token}}})
	return info.User, err
}

func (s *store) Sweep() error {
	_, err := s.manager.DeleteExpired(context.Background())
	return err
}
