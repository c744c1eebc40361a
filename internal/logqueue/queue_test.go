package logqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/logqueue"
)

// A reader is a log's reader that stalls until stalled is closed, and fails
// when err is set.
type reader struct {
	stalled chan struct{} // nil: it does not stall
	got     bytes.Buffer
	err     error
	cut     int // bytes that are taken before err
}

func (r *reader) Write(p []byte) (int, error) {
	if r.stalled != nil {
		<-r.stalled
	}
	if r.err != nil {
		n := min(r.cut, len(p))
		r.got.Write(p[:n])
		return n, r.err
	}
	return r.got.Write(p)
}

func say(w io.Writer, text string) { _, _ = io.WriteString(w, text+"\n") }

func TestLinesArriveInOrder(t *testing.T) {
	var r reader
	q := logqueue.New(&r, logqueue.DefaultLimits, nil)
	var want strings.Builder
	for i := range 20_000 {
		line := fmt.Sprintf("line %d", i)
		say(q.Writer(logqueue.Class(i%3)), line)
		want.WriteString(line + "\n")
	}
	q.Close(time.Minute)
	if r.got.String() != want.String() || q.Dropped() != 0 {
		t.Errorf("%d of %d bytes arrived, %d lines were dropped", r.got.Len(), want.Len(), q.Dropped())
	}
}

// A log that nobody reads must not stop the gate, and what it says of who came
// in is the last to go.
func TestAStalledReaderCostsOrdinaryLinesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reader{stalled: make(chan struct{})}
		var noted []uint64
		q := logqueue.New(&r, [...]int{100, 200, 300}, func(n uint64) { noted = append(noted, n) })
		for range 50 {
			say(q.Writer(logqueue.Ordinary), "ordinary.")
		}
		for range 50 {
			say(q.Writer(logqueue.Warning), "a warning")
		}
		for range 10 {
			say(q.Writer(logqueue.Audit), "an audit.")
		}
		synctest.Wait()
		begin := time.Now()
		if q.Close(2 * time.Second); time.Since(begin) != 2*time.Second {
			t.Errorf("Close took %s with a reader that stalls, want 2s", time.Since(begin))
		}
		if got := q.Dropped(); got != 40+40 {
			t.Errorf("%d lines were dropped, want 80", got)
		}
		close(r.stalled)
		synctest.Wait()
		want := strings.Repeat("ordinary.\n", 10) + strings.Repeat("a warning\n", 10) + strings.Repeat("an audit.\n", 10)
		if r.got.String() != want {
			t.Errorf("the reader got\n%s", &r.got)
		}
		if fmt.Sprint(noted) != "[80]" {
			t.Errorf("lost was told %v, want [80]", noted)
		}
	})
}

func TestTheLogGoesOnWhenItsDiskHasRoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reader{err: errors.New("no space left on device"), cut: 3}
		q := logqueue.New(&r, logqueue.DefaultLimits, nil)
		say(q.Writer(logqueue.Ordinary), "first")
		synctest.Wait()
		r.cut = 0
		say(q.Writer(logqueue.Ordinary), "second")
		synctest.Wait()
		r.err = nil
		say(q.Writer(logqueue.Ordinary), "third")
		q.Close(time.Minute)
		if got := r.got.String(); got != "fir\nthird\n" || q.Dropped() != 2 {
			t.Errorf("%q, %d dropped; want the half line ended, the third line whole and 2 dropped", got, q.Dropped())
		}
	})
}

func TestNothingIsTakenAfterClose(t *testing.T) {
	var r reader
	q := logqueue.New(&r, logqueue.DefaultLimits, nil)
	q.Close(time.Minute)
	say(q.Writer(logqueue.Audit), "late")
	if r.got.Len() != 0 || q.Dropped() != 1 {
		t.Errorf("%q, %d dropped", &r.got, q.Dropped())
	}
}
