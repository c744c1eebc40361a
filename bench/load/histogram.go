package load

import (
	"math/bits"
	"time"
)

// The buckets of a Histogram: each power of two has 32 of them, so a quantile is at
// most 3 % too high.
const (
	cutBits = 5
	cuts    = 1 << cutBits
	buckets = (64 - cutBits) * cuts
)

// A Histogram counts durations in constant memory. The zero value is empty.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
}

// Add counts d. A negative d counts as 0.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
}

// Merge adds the counts of other.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// Quantile returns the quantile q (0 to 1), rounded up to its bucket; 0 when nothing
// was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q * float64(h.total))
	var seen uint64
	last := 0
	for i, n := range h.counts {
		if n == 0 {
			continue
		}
		last = i
		if seen += n; seen > rank {
			break
		}
	}
	return top(last)
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < cuts {
		return int(v)
	}
	e := bits.Len64(v) - cutBits - 1
	return (e+1)<<cutBits + int(v>>e) - cuts //nolint:gosec // v>>e is below 64
}

// top is the longest duration of the bucket.
func top(i int) time.Duration {
	if i < cuts {
		return time.Duration(i)
	}
	e := i>>cutBits - 1
	return time.Duration(i&(cuts-1)+cuts+1)<<e - 1
}
