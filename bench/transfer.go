package main

import (
	"context"
	"fmt"
	"time"

	"gatehouse/bench/load"
)

// A transfer moves one large body through the targets, in one direction.
type transfer struct {
	title  string
	upload bool
}

// Limits on what a transfer may cost.
const (
	transferRatio  = 1.5 // times nginx
	transferGrowth = 8.0 // MiB more in memory than before: what is constant is not the size of the body
)

// A haul is what was measured of one transfer through one target.
type haul struct {
	cpu    float64 // milliseconds of the target's processes a GiB
	speed  float64 // MiB a second
	growth float64 // MiB, the peak less what was resident before
	others float64 // as in sample
}

func (c transfer) run(ctx context.Context, l *lab) (finding, error) {
	list, err := l.openAll(ctx, []string{nginx, httputil, gate})
	defer func() { closeAll(list) }()
	if err != nil {
		return finding{}, err
	}
	if !c.upload { // from the disk into memory, once for all
		if _, err := load.Transfer(ctx, l.pages.addr, load.Get(l.pages.addr, "/big"), 0, l.o.transfer); err != nil {
			return finding{}, err
		}
	}
	hauls := map[string][]haul{}
	err = l.rounds(ctx, list, func(ctx context.Context, t *target) error {
		h, err := c.haul(ctx, l, t)
		if err != nil {
			return err
		}
		hauls[t.name] = append(hauls[t.name], h)
		l.say("  %-26s %7.0f ms/GiB %6.0f MiB/s  grew by %.1f MiB  others %.2f CPU", t.name, h.cpu, h.speed, h.growth, h.others)
		return nil
	})
	if err != nil {
		return finding{}, err
	}
	return c.find(list, hauls), nil
}

// haul measures one transfer, after a warm-up with small answers, so that the
// connections and buffers of the process exist.
func (c transfer) haul(ctx context.Context, l *lab, t *target) (haul, error) {
	if _, err := load.Run(ctx, load.Plan{
		Addr: t.addr, Request: t.request("/100k"), Length: 100 << 10, Conns: 4, Duration: l.o.warm,
	}); err != nil {
		return haul{}, err
	}
	if err := clearPeak(t.group()); err != nil {
		return haul{}, err
	}
	before, err := l.look(t)
	if err != nil {
		return haul{}, err
	}
	size := l.o.transfer
	var took time.Duration
	if c.upload {
		head := load.Head("POST", t.addr, "/upload", append(t.fields(), "Content-Type: application/octet-stream", fmt.Sprintf("Content-Length: %d", size))...)
		took, err = load.Transfer(ctx, t.addr, head, size, 20)
	} else {
		took, err = load.Transfer(ctx, t.addr, t.request("/big"), 0, size)
	}
	if err != nil {
		return haul{}, err
	}
	after, err := l.look(t)
	if err != nil {
		return haul{}, err
	}
	return haul{
		cpu:    milliseconds(after.own.cpu-before.own.cpu) * (1 << 30) / float64(size),
		speed:  mebibytes(size) / took.Seconds(),
		growth: mebibytes(after.own.peak - before.own.resident),
		others: after.foreign(before).Seconds() / after.at.Sub(before.at).Seconds(),
	}, nil
}

func (c transfer) find(list []*target, hauls map[string][]haul) finding {
	pick := func(name string, p func(haul) float64) (v []float64) {
		for _, h := range hauls[name] {
			v = append(v, p(h))
		}
		return v
	}
	cpu := func(h haul) float64 { return h.cpu }
	growth := func(h haul) float64 { return h.growth }
	f := finding{title: c.title, head: []string{"target", "CPU ms/GiB", "x " + nginx, "MiB/s", "memory grew by MiB"}}
	for _, t := range list {
		f.rows = append(f.rows, []string{
			t.name, count(median(pick(t.name, cpu))), times(ratio(pick(t.name, cpu), pick(nginx, cpu))),
			count(median(pick(t.name, func(h haul) float64 { return h.speed }))), figure(median(pick(t.name, growth))),
		})
		f.others = append(f.others, pick(t.name, func(h haul) float64 { return h.others })...)
	}
	if got := ratio(pick(gate, cpu), pick(nginx, cpu)); got > 0 {
		f.verdicts = append(f.verdicts, verdict{c.title + ": CPU against nginx", fmt.Sprintf("at most %g", transferRatio), times(got), got <= transferRatio})
	}
	if len(hauls[gate]) > 0 {
		_, most := spread(pick(gate, growth))
		f.verdicts = append(f.verdicts, verdict{c.title + ": memory", "constant", fmt.Sprintf("grew by %.1f MiB", most), most <= transferGrowth})
	}
	return f
}
