package server

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestACheckThatHangsIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c checkup
		var calls atomic.Int64
		goOn := make(chan struct{})
		hang := func() error { calls.Add(1); <-goOn; return errors.New("late") }
		for range 3 {
			begin := time.Now()
			if err := c.ask(t.Context(), hang); err == nil || err.Error() == "late" || time.Since(begin) > 2*time.Second {
				t.Errorf("ask = %v after %s, want an error in time", err, time.Since(begin))
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d checks run at once, want 1", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.ask(ctx, hang); !errors.Is(err, context.Canceled) {
			t.Errorf("ask = %v, want that its context is done", err)
		}
		close(goOn)
		synctest.Wait()
		if err := c.ask(t.Context(), func() error { return nil }); err != nil {
			t.Errorf("ask = %v once it does not hang any more", err)
		}
	})
}

func TestADiskWithoutSpaceIsFull(t *testing.T) {
	if err := spaceLeft(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := spaceLeft("/proc"); err == nil { // it has no blocks at all
		t.Error("no error where there is no space")
	}
}

func TestWarningsOfOneKindAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w warnings
		written := 0
		for range 1000 {
			if ok, _ := w.allow("502"); ok {
				written++
			}
		}
		if written != warningsAtOnce {
			t.Errorf("%d of 1000 warnings at once are written, want %d", written, warningsAtOnce)
		}
		if ok, withheld := w.allow("421"); !ok || withheld != 0 {
			t.Error("another kind is limited too")
		}
		time.Sleep(time.Second)
		if ok, withheld := w.allow("502"); !ok || withheld != 1000-warningsAtOnce {
			t.Errorf("a second later: %t, %d withheld, want %d", ok, withheld, 1000-warningsAtOnce)
		}
	})
}
