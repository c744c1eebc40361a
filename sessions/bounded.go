package sessions

import "sync"

// bounded is a map of a bounded size, in shards of which each has a lock. When a
// shard is full, a new entry replaces some that were not asked for lately, by the
// clock algorithm: a hand goes round and clears the used mark of each entry, until
// it finds one without a mark. It is safe for concurrent use.
type bounded[K comparable, V any] struct {
	shards [16]boundedShard[K, V]
	spread func(K) byte // its low four bits, evenly distributed, choose the shard
}

type boundedShard[K comparable, V any] struct {
	mu    sync.Mutex
	at    map[K]int
	slots []slot[K, V]
	free  []int // places in slots that remove has emptied
	hand  int   // of the clock: the next place that evict looks at
	size  int   // the cost of all entries
	max   int
	cost  func(V) int // of an entry; nil: 1
}

type slot[K comparable, V any] struct {
	key  K
	val  V
	cost int // 0: the place is empty
	used bool
}

// newBounded returns a map for n entries, but one in each shard at least.
func newBounded[K comparable, V any](n int, spread func(K) byte) *bounded[K, V] {
	return newSized[K, V](max(n, 16), spread, nil)
}

// newSized returns a map for entries of which the costs add up to n at most. An entry
// that costs more than a sixteenth of n is not kept.
func newSized[K comparable, V any](n int, spread func(K) byte, cost func(V) int) *bounded[K, V] {
	b := &bounded[K, V]{spread: spread}
	for i := range b.shards {
		b.shards[i].max, b.shards[i].cost = n/len(b.shards), cost
		b.shards[i].at = map[K]int{}
	}
	return b
}

func (b *bounded[K, V]) shard(k K) *boundedShard[K, V] { return &b.shards[b.spread(k)%16] }

func (b *bounded[K, V]) get(k K) (v V, ok bool) {
	s := b.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(k)
}

func (b *bounded[K, V]) put(k K, v V) {
	s := b.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(k, v)
}

func (s *boundedShard[K, V]) get(k K) (v V, ok bool) {
	i, ok := s.at[k]
	if !ok {
		return v, false
	}
	s.slots[i].used = true
	return s.slots[i].val, true
}

func (s *boundedShard[K, V]) put(k K, v V) {
	cost := 1
	if s.cost != nil {
		cost = s.cost(v)
	}
	s.remove(k)
	if cost > s.max {
		return
	}
	for s.size+cost > s.max {
		s.evict()
	}
	i := s.place()
	s.at[k] = i
	s.slots[i] = slot[K, V]{key: k, val: v, cost: cost}
	s.size += cost
}

// place returns an empty place.
func (s *boundedShard[K, V]) place() int {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	s.slots = append(s.slots, slot[K, V]{})
	return len(s.slots) - 1
}

// evict empties the place of an entry that was not asked for lately.
func (s *boundedShard[K, V]) evict() {
	for {
		at := &s.slots[s.hand]
		s.hand = (s.hand + 1) % len(s.slots)
		if at.cost > 0 && !at.used {
			s.remove(at.key)
			return
		}
		at.used = false
	}
}

func (s *boundedShard[K, V]) remove(k K) {
	i, ok := s.at[k]
	if !ok {
		return
	}
	delete(s.at, k)
	s.size -= s.slots[i].cost
	s.slots[i] = slot[K, V]{}
	s.free = append(s.free, i)
}

// clear removes all entries.
func (b *bounded[K, V]) clear() {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		clear(s.at)
		s.slots, s.free, s.hand, s.size = nil, nil, 0, 0
		s.mu.Unlock()
	}
}
