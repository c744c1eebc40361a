package sessions

import (
	"container/heap"
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Memory is a Store in the memory of the process: everybody is signed out by a restart. It
// is for tests and demonstrations, and for programs whose users may sign in again. It is
// safe for concurrent use. Records are copied on the way in and out.
type Memory struct {
	// A key belongs to the shard of its first digit, so the order of the shards is
	// the order of the keys.
	shards [16]memoryShard
	users  [16]userShard
	seed   maphash.Seed
	count  atomic.Int64
}

// A memoryShard holds the records of one first digit, by key and by expiry.
type memoryShard struct {
	mu      sync.Mutex
	records map[string]*memoryRecord
	expiry  expiryHeap
}

type memoryRecord struct {
	key string
	pos int // index in the shard's heap
	Record
}

// A userShard holds the keys of each user's records. Lock order: the lock of a memoryShard
// first, then that of a userShard, never the other way round.
type userShard struct {
	mu   sync.Mutex
	keys map[string]map[string]struct{}
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	m := &Memory{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].records = map[string]*memoryRecord{}
		m.users[i].keys = map[string]map[string]struct{}{}
	}
	return m
}

// Load implements Store.
func (m *Memory) Load(ctx context.Context, key string) (Record, error) {
	s, r, err := m.live(ctx, key)
	if err != nil {
		return Record{}, err
	}
	defer s.mu.Unlock()
	return r.clone(), nil
}

// Create implements Store.
func (m *Memory) Create(ctx context.Context, key string, r Record) error {
	s, err := m.lock(ctx, key)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.records[key] != nil {
		return ErrExists
	}
	e := &memoryRecord{key: key, Record: r.Stored(1)}
	s.records[key] = e
	heap.Push(&s.expiry, e)
	m.index(r.User, key, true)
	m.count.Add(1)
	return nil
}

// Update implements Store.
func (m *Memory) Update(ctx context.Context, key string, r Record) error {
	s, e, err := m.live(ctx, key)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if e.Version != r.Version {
		return ErrConflict
	}
	if e.User != r.User {
		m.index(e.User, key, false)
		m.index(r.User, key, true)
	}
	e.Record = r.Stored(r.Version + 1)
	heap.Fix(&s.expiry, e.pos)
	return nil
}

// Touch implements Store.
func (m *Memory) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	s, e, err := m.live(ctx, key)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	e.Touch(seen, expires, mark)
	heap.Fix(&s.expiry, e.pos)
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key string) (Record, error) {
	s, err := m.lock(ctx, key)
	if err != nil {
		return Record{}, err
	}
	defer s.mu.Unlock()
	e := s.records[key]
	if e == nil {
		return Record{}, ErrNotFound
	}
	m.remove(s, e)
	return e.Record, nil
}

// List implements Store. It copies the keys of one shard, or of one user, at a time, and
// holds no lock while it yields. A record that is removed meanwhile is left out.
func (m *Memory) List(ctx context.Context, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for keys := range m.pages(q) {
			slices.Sort(keys)
			for _, key := range keys {
				s, err := m.lock(ctx, key)
				if err != nil {
					yield(Entry{}, err)
					return
				}
				e := s.records[key]
				if e == nil || !q.Matches(key, &e.Record) {
					s.mu.Unlock()
					continue
				}
				found := Entry{key, e.clone()}
				s.mu.Unlock()
				if !yield(found, nil) {
					return
				}
			}
		}
	}
}

// pages yields the keys that q may select, in pages: one per shard in their order, or one
// for a user. A page is not sorted, and is valid until the next one.
func (m *Memory) pages(q Query) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		var keys []string
		if q.User != "" {
			u := m.user(q.User)
			u.mu.Lock()
			for key := range u.keys[q.User] {
				keys = append(keys, key)
			}
			u.mu.Unlock()
			yield(keys)
			return
		}
		for i := range m.shards {
			s := &m.shards[i]
			keys = keys[:0]
			s.mu.Lock()
			for key := range s.records {
				if strings.HasPrefix(key, q.Prefix) && key > q.After {
					keys = append(keys, key)
				}
			}
			s.mu.Unlock()
			if !yield(keys) {
				return
			}
		}
	}
}

// DeleteExpired implements Store.
func (m *Memory) DeleteExpired(ctx context.Context, now time.Time, limit int) ([]Entry, error) {
	var gone []Entry
	for len(gone) < limit {
		if err := ctx.Err(); err != nil {
			return gone, err
		}
		s := m.oldest()
		if s == nil {
			break
		}
		s.mu.Lock()
		if len(s.expiry) == 0 { // taken meanwhile
			s.mu.Unlock()
			continue
		}
		e := s.expiry[0]
		if e.Expires.After(now) {
			s.mu.Unlock()
			break
		}
		m.remove(s, e)
		s.mu.Unlock()
		gone = append(gone, Entry{e.key, e.Record})
	}
	return gone, nil
}

// oldest returns the shard with the record that expires first, or nil if all are empty. It
// locks one shard at a time, so the record may be gone when it returns.
func (m *Memory) oldest() (first *memoryShard) {
	var at time.Time
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		if len(s.expiry) > 0 && (first == nil || s.expiry[0].Expires.Before(at)) {
			first, at = s, s.expiry[0].Expires
		}
		s.mu.Unlock()
	}
	return first
}

// Count implements Store. Expired records that have not been deleted count as well.
func (m *Memory) Count(context.Context) (int, error) { return int(m.count.Load()), nil }

// Close implements Store. It does nothing.
func (m *Memory) Close() error { return nil }

// lock returns the key's shard, locked; the caller unlocks it. After an error nothing is
// locked.
func (m *Memory) lock(ctx context.Context, key string) (*memoryShard, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if key == "" {
		return nil, errors.New("sessions: the key is empty")
	}
	s := &m.shards[digit(key[0])]
	s.mu.Lock()
	return s, nil
}

// live returns a record that has not expired and its shard, locked. After an error, which
// is ErrNotFound for an expired record too, nothing is locked.
func (m *Memory) live(ctx context.Context, key string) (*memoryShard, *memoryRecord, error) {
	s, err := m.lock(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	e := s.records[key]
	if e == nil || e.Expired(time.Now()) {
		s.mu.Unlock()
		return nil, nil, ErrNotFound
	}
	return s, e, nil
}

// remove removes the record from the shard, which the caller has locked.
func (m *Memory) remove(s *memoryShard, e *memoryRecord) {
	delete(s.records, e.key)
	heap.Remove(&s.expiry, e.pos)
	m.index(e.User, e.key, false)
	m.count.Add(-1)
}

// user returns the shard that holds the user's keys.
func (m *Memory) user(name string) *userShard {
	return &m.users[maphash.String(m.seed, name)%uint64(len(m.users))]
}

// index adds the key to those of the user, or removes it. It does nothing for no user (""),
// and forgets a user with the last of their keys.
func (m *Memory) index(user, key string, add bool) {
	if user == "" {
		return
	}
	u := m.user(user)
	u.mu.Lock()
	defer u.mu.Unlock()
	keys := u.keys[user]
	switch {
	case add && keys == nil:
		u.keys[user] = map[string]struct{}{key: {}}
	case add:
		keys[key] = struct{}{}
	case len(keys) > 1:
		delete(keys, key)
	default:
		delete(u.keys, user)
	}
}

// digit returns the value of a hexadecimal digit, and for any other byte that of the
// nearest digit in the order of bytes.
func digit(c byte) int {
	switch {
	case c <= '9':
		return int(max(c, '0') - '0')
	case c < 'a':
		return 9
	default:
		return int(min(c, 'f')-'a') + 10
	}
}

// expiryHeap is a heap with the record that expires first at the front. It keeps pos of
// each record up to date.
type expiryHeap []*memoryRecord

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }

func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

// Push implements heap.Interface.
func (h *expiryHeap) Push(x any) {
	e, _ := x.(*memoryRecord)
	e.pos = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *expiryHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
