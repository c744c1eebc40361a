package sessions

import "sync"

// bounded is a map with a fixed number of places, in shards. When a shard is
// full, a new entry takes the place of one that was not asked for lately
// (the clock algorithm: a hand goes round and takes each entry's mark away,
// until it finds one without). Safe for concurrent use.
type bounded[K comparable, V any] struct {
	shards [16]boundedShard[K, V]
	spread func(K) byte // evenly distributed over the low four bits
}

type boundedShard[K comparable, V any] struct {
	mu    sync.Mutex
	at    map[K]int
	slots []slot[K, V]
	free  []int // places that remove has emptied
	hand  int
	max   int
}

type slot[K comparable, V any] struct {
	key  K
	val  V
	used bool
}

// newBounded makes room for n entries, at least one in each shard.
func newBounded[K comparable, V any](n int, spread func(K) byte) *bounded[K, V] {
	b := &bounded[K, V]{spread: spread}
	for i := range b.shards {
		b.shards[i].max = max(1, n/len(b.shards))
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
	i, ok := s.at[k]
	if !ok {
		i = s.place()
		s.at[k] = i
	}
	s.slots[i] = slot[K, V]{key: k, val: v}
}

// place gives an empty place, and makes one if need be.
func (s *boundedShard[K, V]) place() int {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	if len(s.slots) < s.max {
		s.slots = append(s.slots, slot[K, V]{})
		return len(s.slots) - 1
	}
	for s.slots[s.hand].used {
		s.slots[s.hand].used = false
		s.hand = (s.hand + 1) % len(s.slots)
	}
	i := s.hand
	s.hand = (s.hand + 1) % len(s.slots)
	delete(s.at, s.slots[i].key)
	return i
}

func (s *boundedShard[K, V]) remove(k K) {
	i, ok := s.at[k]
	if !ok {
		return
	}
	delete(s.at, k)
	s.slots[i] = slot[K, V]{}
	s.free = append(s.free, i)
}

// clear empties every place.
func (b *bounded[K, V]) clear() {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		clear(s.at)
		s.slots, s.free, s.hand = nil, nil, 0
		s.mu.Unlock()
	}
}
