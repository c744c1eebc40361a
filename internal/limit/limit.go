// Package limit bounds what visitors can make us do: a Table counts tries in
// a fixed amount of memory, and a Queue lets a few in at a time, in an order
// that is fair.
package limit

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// A Rate is Count events in the time Per. The zero Rate limits nothing.
type Rate struct {
	Count int
	Per   time.Duration
}

// Unlimited reports whether the rate limits nothing.
func (r Rate) Unlimited() bool { return r.Count <= 0 || r.Per <= 0 }

// Interval is the time in which one event is forgotten.
func (r Rate) Interval() time.Duration { return max(1, r.Per/time.Duration(r.Count)) }

// A Key names what is counted; see KeyOf.
type Key [16]byte

// KeyOf returns the key for what the parts name, the same in every process.
// The borders of the parts count: a, bc is not ab, c. It is a part of their
// SHA-256, so that nobody finds two names with the same key.
func KeyOf(parts ...string) Key {
	h := sha256.New()
	h.Write([]byte("gatehouse limit"))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return Key(h.Sum(nil)[:16])
}

// A Bucket is one thing that is counted: Count events at once, refilled
// evenly, so that after Per of quiet all of them are there again.
type Bucket struct {
	Key  Key
	Rate Rate
}

// A Table holds token buckets in bounded memory. It remembers a bucket until
// it is full again; when the table has no room left, the one that was not
// used for longest (nearly: the clock algorithm) is forgotten, which is to
// say that it is full. Its owner sees to it that a bucket costs an attacker
// more than it is worth to have one forgotten.
//
// Tables are safe for concurrent use. The clock is the monotonic one, so that
// setting the machine's time neither frees nor locks anybody.
type Table struct {
	start time.Time

	mu      sync.Mutex
	index   map[Key]int32
	entries []entry
	limit   int
	hand    int
}

// An entry is the generic cell rate algorithm's: one time a bucket.
type entry struct {
	key  Key
	full time.Duration // since start: when the bucket will be full again
	used bool          // since the clock's hand last passed
}

// NewTable makes an empty table that never remembers more than n buckets,
// about 64 bytes each.
func NewTable(n int) *Table {
	return &Table{start: time.Now(), limit: max(1, n), index: make(map[Key]int32)}
}

// Take takes one event from each of the buckets, or from none: ok is false
// when one of them is empty, and wait says how long that will last (never
// longer than the rate's Per). Buckets without a limit are passed over.
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

// Return gives back what Take took: it turned out not to count.
func (t *Table) Return(buckets ...Bucket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range buckets {
		if i, ok := t.index[b.Key]; ok && !b.Rate.Unlimited() {
			t.entries[i].full -= b.Rate.Interval()
		}
	}
}

// Len says how many buckets are remembered.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}

// after says when the bucket would be full again if one event more were
// taken. A bucket that was filled at another rate (before a reload) is never
// emptier than empty.
func (t *Table) after(b Bucket, now time.Duration) time.Duration {
	full := now
	if i, ok := t.index[b.Key]; ok {
		full = min(max(now, t.entries[i].full), now+b.Rate.Per)
	}
	return full + b.Rate.Interval()
}

// entry finds the bucket's entry or makes room for it.
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

// victim chooses the entry to forget: one that says nothing any more, if
// there is one near the hand, else one that was not used since the hand last
// passed.
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
