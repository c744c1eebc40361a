// Command scs is github.com/alexedwards/scs in the contest of bench/stores:
// its SessionManager on bbolt. It is a module of its own, so that the
// program's go.mod does not name what only a benchmark needs.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/alexedwards/scs/v2"
	"go.etcd.io/bbolt"

	"gatehouse/bench/stores/contest"
)

func main() { contest.Main(open) }

type store struct {
	db      *bbolt.DB
	bolt    *bolt
	manager *scs.SessionManager
}

func open(dir string) (contest.Store, error) {
	db, err := bbolt.Open(filepath.Join(dir, "scs.db"), 0o600, nil)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	b, err := newBolt(db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	m := scs.New()
	m.Lifetime, m.IdleTimeout = 12*time.Hour, 6*time.Hour
	m.Store = b
	return &store{db: db, bolt: b, manager: m}, nil
}

func (s *store) Close() error { return s.db.Close() }

// agent is as long as those of the other contestants.
const agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// values is what our own records hold of a session.
func values(user string, at time.Time) map[string]any {
	return map[string]any{"user": user, "source": "file", "stamp": "stamp", "addr": "192.0.2.1", "agent": agent, "login": at.Unix(), "seen": at.Unix()}
}

// Fill writes what Commit would write, many at a time and in the order of
// their tokens.
func (s *store) Fill(n, few int, expires time.Time) (tokens []string, err error) {
	s.db.NoSync = true
	all := make([]string, n)
	for i := range all {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails
		all[i] = base64.RawURLEncoding.EncodeToString(b[:])
	}
	tokens = slices.Clone(all[:few])
	slices.Sort(all)
	begin, i := expires.Add(-12*time.Hour), 0
	for part := range slices.Chunk(all, 10_000) {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			for _, token := range part {
				data, err := s.manager.Codec.Encode(expires, values(fmt.Sprintf("user-%07d", i), begin))
				if err != nil {
					return err
				}
				if err := put(tx, token, data, expires); err != nil {
					return err
				}
				i++
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("fill: %w", err)
		}
	}
	s.db.NoSync = false
	return tokens, s.db.Sync()
}

func (s *store) Find(token string) (string, error) {
	ctx, err := s.manager.Load(context.Background(), token)
	if err != nil {
		return "", err
	}
	user := s.manager.GetString(ctx, "user")
	if user == "" {
		return "", errors.New("nobody's session")
	}
	return user, nil
}

func (s *store) Login(user string) error {
	ctx, err := s.manager.Load(context.Background(), "")
	if err != nil {
		return err
	}
	if err := s.manager.RenewToken(ctx); err != nil {
		return err
	}
	for name, v := range values(user, time.Now()) {
		s.manager.Put(ctx, name, v)
	}
	_, _, err = s.manager.Commit(ctx)
	return err
}

func (s *store) Sweep() error { return s.bolt.sweep() }
