package limit_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/limit"
)

func TestTableTakesExactlyTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := limit.NewTable(10)
		b := limit.Bucket{Key: limit.KeyOf("alice"), Rate: limit.Rate{Count: 3, Per: time.Minute}}
		for i := range 3 {
			if ok, wait := table.Take(b); !ok || wait != 0 {
				t.Fatalf("try %d: %v, wait %v", i, ok, wait)
			}
		}
		if ok, wait := table.Take(b); ok || wait != 20*time.Second {
			t.Errorf("the fourth: %v, wait %v; want no, 20s", ok, wait)
		}
		time.Sleep(20*time.Second - 1)
		if ok, _ := table.Take(b); ok {
			t.Error("too early")
		}
		time.Sleep(time.Nanosecond)
		if ok, _ := table.Take(b); !ok {
			t.Error("not after the wait that was named")
		}
		if ok, _ := table.Take(b); ok {
			t.Error("twice after one wait")
		}
		time.Sleep(time.Hour)
		for i := range 3 {
			if ok, _ := table.Take(b); !ok {
				t.Fatalf("try %d after a long quiet", i)
			}
		}
		if ok, _ := table.Take(b); ok {
			t.Error("a long quiet saves up more than the rate")
		}
	})
}

func TestTableTakesFromAllOrNone(t *testing.T) {
	table := limit.NewTable(10)
	small := limit.Bucket{Key: limit.KeyOf("a"), Rate: limit.Rate{Count: 1, Per: time.Hour}}
	large := limit.Bucket{Key: limit.KeyOf("b"), Rate: limit.Rate{Count: 2, Per: time.Hour}}
	free := limit.Bucket{Key: limit.KeyOf("c")}
	if ok, _ := table.Take(small, large, free); !ok {
		t.Fatal("the first")
	}
	for range 5 {
		if ok, wait := table.Take(large, small, free); ok || wait > time.Hour {
			t.Fatalf("from an empty bucket, wait %v", wait)
		}
	}
	if ok, _ := table.Take(large); !ok {
		t.Error("tries that were refused have taken from the other bucket")
	}
	table.Return(small, large)
	if ok, _ := table.Take(small, large); !ok {
		t.Error("what was given back cannot be taken")
	}
	if n := table.Len(); n != 2 {
		t.Errorf("%d buckets are remembered, want 2", n)
	}
}

// Giving back more than was taken, and a lower rate, must neither save up
// nor lock for longer than the rate says.
func TestTableAtOtherRates(t *testing.T) {
	table := limit.NewTable(10)
	b := limit.Bucket{Key: limit.KeyOf("a"), Rate: limit.Rate{Count: 2, Per: time.Hour}}
	table.Take(b)
	for range 10 {
		table.Return(b)
	}
	for i := range 2 {
		if ok, _ := table.Take(b); !ok {
			t.Fatalf("try %d", i)
		}
	}
	if ok, _ := table.Take(b); ok {
		t.Error("what was given back too often is saved up")
	}
	b.Rate = limit.Rate{Count: 2, Per: time.Minute}
	if ok, wait := table.Take(b); ok || wait > time.Minute {
		t.Errorf("after a reload: %v, wait %v", ok, wait)
	}
}

// A million names must not take more memory than the table has room for, and
// must not make it slow.
func TestFloodOfNamesStaysBounded(t *testing.T) {
	const room = 1 << 12
	table := limit.NewTable(room)
	rate := limit.Rate{Count: 3, Per: time.Hour}
	for i := range 1_000_000 {
		table.Take(limit.Bucket{Key: limit.KeyOf("name", strconv.Itoa(i)), Rate: rate})
	}
	if n := table.Len(); n != room {
		t.Errorf("%d buckets, want %d", n, room)
	}
}

func TestTableForgetsTheIdleFirst(t *testing.T) {
	table := limit.NewTable(100)
	b := limit.Bucket{Key: limit.KeyOf("victim"), Rate: limit.Rate{Count: 1, Per: time.Hour}}
	table.Take(b)
	for i := range 10_000 {
		table.Take(limit.Bucket{Key: limit.KeyOf(strconv.Itoa(i)), Rate: limit.Rate{Count: 1, Per: time.Nanosecond}})
	}
	if ok, _ := table.Take(b); ok {
		t.Error("a bucket that counts was forgotten before those that are full again")
	}
}

func TestKeysKeepTheBordersOfTheirParts(t *testing.T) {
	if limit.KeyOf("a", "bc") == limit.KeyOf("ab", "c") || limit.KeyOf("a") == limit.KeyOf("a", "") {
		t.Error("two things share a key")
	}
	if one, two := limit.KeyOf("a", "b"), limit.KeyOf("a", "b"); one != two {
		t.Error("one thing has two keys")
	}
}

func TestParallelTriesAreBounded(t *testing.T) {
	table := limit.NewTable(10)
	b := limit.Bucket{Key: limit.KeyOf("alice"), Rate: limit.Rate{Count: 10, Per: time.Hour}}
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if ok, _ := table.Take(b); ok {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != 10 {
		t.Errorf("%d tries at once, want 10", n)
	}
}

func ExampleTable() {
	table := limit.NewTable(1000)
	tries := limit.Bucket{Key: limit.KeyOf("alice", "192.0.2.1"), Rate: limit.Rate{Count: 2, Per: time.Minute}}
	for range 3 {
		ok, _ := table.Take(tries)
		fmt.Println(ok)
	}
	// Output:
	// true
	// true
	// false
}
