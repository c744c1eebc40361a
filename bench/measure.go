package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"gatehouse/bench/load"
)

// A sample is what was measured of one target in one round.
type sample struct {
	cpu         float64 // microseconds a request, of the target's own processes
	perSecond   float64
	p50, p99    float64 // milliseconds
	resident    float64 // MiB at the end
	peak        float64 // MiB, the most in the sample
	allocations float64 // a request; 0: the target does not tell
	others      float64 // CPUs kept busy by what has no part in the benchmark
}

// badShare is the share of requests that may fail before a sample is an error.
const badShare = 1e-3

// connections is how many connections send requests at the same time.
const connections = 64

// measure loads t with the plan, after a warm-up with the same plan.
func (l *lab) measure(ctx context.Context, t *target, p load.Plan) (sample, error) {
	warm := p
	warm.Duration = l.o.warm
	if _, err := load.Run(ctx, warm); err != nil {
		return sample{}, err
	}
	if err := clearPeak(t.group()); err != nil {
		return sample{}, err
	}
	made, err := t.allocations(ctx)
	if err != nil {
		return sample{}, err
	}
	before, err := l.look(t)
	if err != nil {
		return sample{}, err
	}
	r, err := load.Run(ctx, p)
	if err != nil {
		return sample{}, err
	}
	after, err := l.look(t)
	if err != nil {
		return sample{}, err
	}
	now, err := t.allocations(ctx)
	if err != nil {
		return sample{}, err
	}
	if r.Requests == 0 || float64(r.Bad) > badShare*float64(r.Requests) {
		return sample{}, fmt.Errorf("%d good and %d bad answers: %w", r.Requests, r.Bad, r.Err)
	}
	n := float64(r.Requests)
	return sample{
		cpu:         float64((after.own.cpu - before.own.cpu).Microseconds()) / n,
		perSecond:   r.PerSecond(),
		p50:         milliseconds(r.Latency.Quantile(0.50)),
		p99:         milliseconds(r.Latency.Quantile(0.99)),
		resident:    mebibytes(after.own.resident),
		peak:        mebibytes(after.own.peak),
		allocations: (now - made) / n,
		others:      after.foreign(before).Seconds() / after.at.Sub(before.at).Seconds(),
	}, nil
}

// A view holds the CPU time that everything has used up to a moment.
type view struct {
	at    time.Time
	own   usage         // of the target
	known time.Duration // CPU of everything that has a part, the target included
	all   time.Duration // CPU of the whole machine
}

func (l *lab) look(t *target) (v view, err error) {
	v.at = time.Now()
	if v.own, err = usageOf(t.group()); err != nil {
		return view{}, err
	}
	groups := []int{t.group(), l.pages.group(), l.sink.group()}
	slices.Sort(groups)
	for _, g := range slices.Compact(groups) {
		u, err := usageOf(g)
		if err != nil {
			return view{}, err
		}
		v.known += u.cpu
	}
	v.known += ownTime()
	v.all, err = busy()
	return v, err
}

// foreign returns the CPU time that other programs have used since before. It is
// never negative, although the two clocks are rounded differently.
func (v *view) foreign(before view) time.Duration {
	return max(0, (v.all-before.all)-(v.known-before.known))
}

// ownTime returns the CPU time that the benchmark's own process has used.
func ownTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// openAll starts the named targets, without those that the flags leave out. The
// caller closes them with closeAll, also after an error.
func (l *lab) openAll(ctx context.Context, names []string) (list []*target, err error) {
	for _, name := range names {
		t, err := l.open(ctx, name)
		if err != nil {
			return list, err
		}
		if t != nil {
			list = append(list, t)
		}
	}
	return list, nil
}

func closeAll(list []*target) {
	for _, t := range list {
		t.close()
	}
}

// rounds measures every target once a round, one after another, so that whatever
// disturbs the machine for a while disturbs them all. Every other round has the
// opposite order, so that no target always follows the same one.
func (l *lab) rounds(ctx context.Context, list []*target, measure func(context.Context, *target) error) error {
	for round := range l.o.rounds {
		turn := slices.Clone(list)
		if round%2 == 1 {
			slices.Reverse(turn)
		}
		for _, t := range turn {
			if err := measure(ctx, t); err != nil {
				return fmt.Errorf("round %d, %s: %w\n%s", round+1, t.name, err, t.wrote())
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
