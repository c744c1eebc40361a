// Package limit bounds the work that visitors can cause. A Table limits rates, in
// bounded memory; a Semaphore limits how much is under way at a time, with a queue
// that is fair.
package limit

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// A Rate is Count events in the time Per. The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// Unlimited reports whether the rate is no limit.
func (r Rate) Unlimited() bool { return r.Count <= 0 || r.Per <= 0 }

// Interval returns the time in which one event is refilled, at least a nanosecond.
// The rate must not be Unlimited.
func (r Rate) Interval() time.Duration { return max(1, r.Per/time.Duration(r.Count)) }

// A Key names what is counted; see KeyOf.
type Key [16]byte

// KeyOf returns the key of what the parts name, the same in every process. The
// borders between parts count: "a", "bc" is another key than "ab", "c". It is 128
// bits of a SHA-256, so that nobody can find two names with the same key.
func KeyOf(parts ...string) Key {
	h := sha256.New()
	h.Write([]byte("gatehouse limit"))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return Key(h.Sum(nil)[:16])
}

// A Bucket is a token bucket: it allows Rate.Count events at once and is refilled
// evenly, so that it is full again after Rate.Per without events.
type Bucket struct {
	Key  Key
	Rate Rate
}

// A Table holds token buckets in bounded memory. It remembers a bucket until that is
// full again. When there is no room left, it forgets the bucket that was not used
// for longest, approximately (the clock algorithm); a forgotten bucket is full. So
// keys have to be chosen such that filling the table costs an attacker more than a
// full bucket is worth.
//
// A Table is safe for concurrent use. It uses the monotonic clock, so that setting
// the time of the machine neither frees nor locks out anybody.
type Table struct {
	start time.Time

	mu      sync.Mutex
	index   map[Key]int32
	entries []entry
	limit   int
	hand    int
}

// An entry is the state of a bucket in the generic cell rate algorithm: one time.
type entry struct {
	key  Key
	full time.Duration // since start: when the bucket will be full again
	used bool          // since the clock's hand last passed
}

// NewTable returns an empty table that remembers at most n buckets, at least one, of
// about 64 bytes each.
func NewTable(n int) *Table {
	return &Table{start: time.Now(), limit: max(1, n), index: make(map[Key]int32)}
}

// Take takes one event from each of the buckets, or from none of them: ok is false
// if one is empty, and wait is how long it takes until none is, at most the largest
// Rate.Per. Buckets whose rate is no limit are ignored.
func (t *Table) Take(buckets ...Bucket) (ok bool, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.start)
	for _, b := range buckets {
		if b.Rate.Unlimited() {
			continue
		}
		if after := t.after(b, now) - now; after > b.Rate.Per {
			wait = max(wait, min(after-b.Rate.Per, b.Rate.Per))
		}
	}
	if wait > 0 {
		return false, wait
	}
	for _, b := range buckets {
		if !b.Rate.Unlimited() {
			e := t.entry(b.Key, now)
			e.full, e.used = t.after(b, now), true
		}
	}
	return true, 0
}

// Return puts the events back that a Take took from the buckets. A bucket that has
// been forgotten since is full anyway.
func (t *Table) Return(buckets ...Bucket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range buckets {
		if i, ok := t.index[b.Key]; ok && !b.Rate.Unlimited() {
			t.entries[i].full -= b.Rate.Interval()
		}
	}
}

// Len returns how many buckets are remembered.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}

// after returns when the bucket would be full again if one more event were taken. A
// bucket that was used at another rate, before a reload, is never emptier than
// empty.
func (t *Table) after(b Bucket, now time.Duration) time.Duration {
	full := now
	if i, ok := t.index[b.Key]; ok {
		full = min(max(now, t.entries[i].full), now+b.Rate.Per)
	}
	return full + b.Rate.Interval()
}

// entry returns the entry of the key, which it makes room for if there is none.
func (t *Table) entry(k Key, now time.Duration) *entry {
	if i, ok := t.index[k]; ok {
		return &t.entries[i]
	}
	if len(t.entries) < t.limit {
		t.entries = append(t.entries, entry{key: k})
		t.index[k] = int32(len(t.entries) - 1) //nolint:gosec // G115: the limit is far below 2^31
		return &t.entries[len(t.entries)-1]
	}
	i := t.victim(now)
	delete(t.index, t.entries[i].key)
	t.entries[i] = entry{key: k}
	t.index[k] = int32(i) //nolint:gosec // G115: the limit is far below 2^31
	return &t.entries[i]
}

// victim returns the index of the entry to forget: one whose bucket is full, if there
// is one near the hand, else one that was not used since the hand last passed it.
func (t *Table) victim(now time.Duration) int {
	const near = 64
	unused := -1
	for n := 0; n < near || unused < 0; n++ {
		i := t.hand
		t.hand = (t.hand + 1) % len(t.entries)
		e := &t.entries[i]
		switch {
		case e.full <= now:
			return i
		case e.used:
			e.used = false
		case unused < 0:
			unused = i
		}
	}
	return unused
}
