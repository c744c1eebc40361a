package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/boltfile"
	"gatehouse/sessions"
)

// stored fills the embedded store with many sessions, measures look-ups as a request
// makes them, and then compares a gate with this store to one with an empty store.
type stored struct{ race }

// storedData is the data_dir with the many sessions.
const storedData = "stored"

// Limits on what a look-up may cost.
const (
	cachedTime   = time.Microsecond
	cachedAllocs = 3
	storedTime   = 25 * time.Microsecond
)

// asked is how many more sessions there are for which this process has a cookie, but
// no more than there are others.
const asked = 5000

func (c stored) run(ctx context.Context, l *lab) (finding, error) {
	dir := l.file(storedData)
	if err := os.Mkdir(dir, 0o700); err != nil { //nolint:gosec // in our own folder
		return finding{}, fmt.Errorf("make data_dir: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() //nolint:gosec // as above
	cost, err := l.lookUps(ctx, dir)
	if err != nil {
		return finding{}, err
	}
	l.say("  cached %s and %.1f allocations, not cached %s and %.1f", cost.cached, cost.cachedAllocs, cost.cold, cost.coldAllocs)
	f, err := c.race.run(ctx, l)
	if err != nil {
		return finding{}, err
	}
	f.note = fmt.Sprintf("Looking up one of %d sessions in bbolt, signature, record and expiry checked: %s and %.1f allocations when it is cached, %s and %.1f when nothing of it is.",
		l.o.sessions, cost.cached, cost.cachedAllocs, cost.cold, cost.coldAllocs)
	f.verdicts = append([]verdict{
		{fmt.Sprintf("checking one of %d sessions, cached", l.o.sessions), "under " + cachedTime.String(), cost.cached.String(), cost.cached < cachedTime},
		{"the same, allocations", fmt.Sprintf("at most %d", cachedAllocs), figure(cost.cachedAllocs), cost.cachedAllocs < cachedAllocs+0.5},
		{"the same, not cached", "under " + storedTime.String(), cost.cold.String(), cost.cold < storedTime},
	}, f.verdicts...)
	return f, nil
}

// A lookUp is what finding a session costs.
type lookUp struct {
	cached, cold             time.Duration
	cachedAllocs, coldAllocs float64
}

// lookUps fills the database in dir and measures look-ups in this process.
func (l *lab) lookUps(ctx context.Context, dir string) (cost lookUp, err error) {
	db, err := boltfile.Open(filepath.Join(dir, "gatehouse.db"))
	if err != nil {
		return lookUp{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := sessions.NewBolt(db)
	if err != nil {
		return lookUp{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	l.say("  writing %d sessions", l.o.sessions)
	db.NoSync = true // to the disk once, at the end: seconds and not hours
	if err := fill(ctx, store, l.o.sessions); err != nil {
		return lookUp{}, err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	cookies, err := signedIn(ctx, store, secret, min(asked, l.o.sessions))
	if err != nil {
		return lookUp{}, err
	}
	db.NoSync = false
	if err := db.Sync(); err != nil {
		return lookUp{}, fmt.Errorf("write sessions: %w", err)
	}
	return timeLookUps(ctx, store, secret, cookies)
}

// fill creates n sessions of as many people, for which there is no cookie, in the
// order of their keys, which touches fewer pages.
func fill(ctx context.Context, store sessions.Store, n int) error {
	keys := make([][32]byte, n)
	for i := range keys {
		_, _ = rand.Read(keys[i][:]) // never fails
	}
	slices.SortFunc(keys, func(a, b [32]byte) int { return cmp.Compare(string(a[:]), string(b[:])) })
	now := time.Now()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	next := make(chan int)
	for range 256 { // they share transactions
		wg.Go(func() {
			for i := range next {
				err := store.Create(ctx, hex.EncodeToString(keys[i][:]), sessions.Record{
					User: fmt.Sprintf("user-%07d", i), Source: "file", Stamp: "stamp", Created: now, Login: now, Seen: now,
					Expires: now.Add(6*time.Hour + time.Duration(i)*time.Millisecond), Limit: now.Add(12 * time.Hour), Idle: 6 * time.Hour,
					Addr: "192.0.2.1", Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
				})
				if err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range keys {
		next <- i
	}
	close(next)
	wg.Wait()
	if len(errs) > 0 {
		return fmt.Errorf("write sessions: %w", errs[0])
	}
	return nil
}

// manager opens sessions of the store with empty caches in front of it.
func manager(store sessions.Store, secret []byte) (*sessions.Manager, error) {
	return sessions.NewManager(sessions.Options{
		Store: sessions.NewCached(store, 2*asked<<10), Secrets: [][]byte{secret}, IdleTimeout: time.Hour, Lifetime: 12 * time.Hour,
		Cookie: sessions.Cookie{Secure: func(*http.Request) bool { return false }},
	})
}

// signedIn creates n sessions by signing in, and returns the cookie of each.
func signedIn(ctx context.Context, store sessions.Store, secret []byte, n int) ([]string, error) {
	m, err := manager(store, secret)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://app.example.com/", nil)
	if err != nil {
		return nil, err
	}
	var cookies []string
	for i := range n {
		s, h := m.Open(r), http.Header{}
		if err := s.Login(ctx, sessions.Login{User: fmt.Sprintf("owner-%d", i), Source: "file", Stamp: "stamp"}); err != nil {
			return nil, fmt.Errorf("sign in: %w", err)
		}
		if err := m.Commit(s, h, http.StatusOK); err != nil {
			return nil, fmt.Errorf("sign in: %w", err)
		}
		cookie, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
		cookies = append(cookies, cookie)
	}
	return cookies, nil
}

// timeLookUps looks up each session once with empty caches, then all of them again
// and again, and returns the medians of several passes.
func timeLookUps(ctx context.Context, store sessions.Store, secret []byte, cookies []string) (lookUp, error) {
	const passes, again = 7, 20
	var cold, cached, coldAllocs, cachedAllocs []float64
	for range passes {
		m, err := manager(store, secret)
		if err != nil {
			return lookUp{}, err
		}
		took, allocs, err := findAll(ctx, m, cookies, 1)
		if err == nil {
			cold, coldAllocs = append(cold, took), append(coldAllocs, allocs)
			took, allocs, err = findAll(ctx, m, cookies, again)
			cached, cachedAllocs = append(cached, took), append(cachedAllocs, allocs)
		}
		m.Close()
		if err != nil {
			return lookUp{}, err
		}
	}
	return lookUp{
		cached: time.Duration(median(cached)), cold: time.Duration(median(cold)),
		cachedAllocs: median(cachedAllocs), coldAllocs: median(coldAllocs),
	}, nil
}

// findAll returns the nanoseconds and allocations of one look-up. The time is CPU
// time, with that of the garbage collector and without that of other programs. All
// cookies are set on one request: those of a request from net/http have just been
// read, too, and are in the processor's cache.
func findAll(ctx context.Context, m *sessions.Manager, cookies []string, times int) (took, allocs float64, err error) {
	line := []string{""}
	r := (&http.Request{Header: http.Header{"Cookie": line}}).WithContext(ctx)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := ownTime()
	for range times {
		for _, line[0] = range cookies {
			if _, err := m.Find(r); err != nil {
				return 0, 0, fmt.Errorf("look up: %w", err)
			}
		}
	}
	n := float64(times * len(cookies))
	took = float64(ownTime()-begin) / n
	runtime.ReadMemStats(&after)
	return took, float64(after.Mallocs-before.Mallocs) / n, nil
}
