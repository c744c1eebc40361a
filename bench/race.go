package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gatehouse/bench/load"
	"gatehouse/bench/plot"
)

// A race requests the same file from several targets.
type race struct {
	title   string
	path    string
	length  int64
	targets []string
	against []string // the targets that the others are compared with
	goals   []goal
	plot    bool
}

// A goal is a limit on a figure of one target, or on its ratio to that of another.
type goal struct {
	text        string
	over, under string  // targets whose CPU is compared
	allocations bool    // or the allocations of over
	most        float64 // that the figure may be
}

func (c race) run(ctx context.Context, l *lab) (finding, error) {
	names := slices.Clone(c.targets)
	if c.plot {
		for _, p := range l.o.peers {
			names = append(names, p.name)
		}
	}
	list, err := l.openAll(ctx, names)
	defer func() { closeAll(list) }()
	if err != nil {
		return finding{}, err
	}
	samples := map[string][]sample{}
	err = l.rounds(ctx, list, func(ctx context.Context, t *target) error {
		s, err := l.measure(ctx, t, load.Plan{
			Addr: t.addr, Request: t.request(c.path), Length: c.length, Conns: connections, Duration: l.o.duration,
		})
		if err != nil {
			return err
		}
		samples[t.name] = append(samples[t.name], s)
		l.say("  %-26s %7.1f µs %8.0f/s  p99 %6.2f ms  others %.2f CPU", t.name, s.cpu, s.perSecond, s.p99, s.others)
		return nil
	})
	if err != nil {
		return finding{}, err
	}
	return c.find(list, samples), nil
}

// column returns one figure of each sample.
func column(samples []sample, pick func(sample) float64) []float64 {
	var v []float64
	for _, s := range samples {
		v = append(v, pick(s))
	}
	return v
}

func cpuOf(s sample) float64 { return s.cpu }

// find makes the finding of the samples: table, verdicts and plot.
func (c race) find(list []*target, samples map[string][]sample) finding {
	f := finding{title: c.title, head: []string{"target", "CPU µs/request", "least-most"}}
	for _, name := range c.against {
		f.head = append(f.head, "x "+name)
	}
	f.head = append(f.head, "requests/s", "p50 ms", "p99 ms", "RSS MiB", "peak MiB", "allocations/request")
	var bars []plot.Bar
	for _, t := range list {
		of := samples[t.name]
		cpu := column(of, cpuOf)
		least, most := spread(cpu)
		row := []string{t.name, figure(median(cpu)), figure(least) + "-" + figure(most)}
		for _, name := range c.against {
			row = append(row, times(ratio(cpu, column(samples[name], cpuOf))))
		}
		pick := func(p func(sample) float64) float64 { return median(column(of, p)) }
		allocations := ""
		if n := pick(func(s sample) float64 { return s.allocations }); n > 0 {
			allocations = figure(n)
		}
		f.rows = append(f.rows, append(row, count(pick(func(s sample) float64 { return s.perSecond })),
			times(pick(func(s sample) float64 { return s.p50 })), times(pick(func(s sample) float64 { return s.p99 })),
			count(pick(func(s sample) float64 { return s.resident })), count(pick(func(s sample) float64 { return s.peak })), allocations))
		bars = append(bars, plot.Bar{
			Label: t.name, Value: median(cpu), Ours: strings.HasPrefix(t.name, gate),
			Text: figure(median(cpu)) + " µs",
		})
		f.others = append(f.others, column(of, func(s sample) float64 { return s.others })...)
	}
	if c.plot {
		f.panel = &plot.Panel{Title: c.title, Bars: bars}
	}
	for _, g := range c.goals {
		got := ratio(column(samples[g.over], cpuOf), column(samples[g.under], cpuOf))
		if g.allocations {
			got = median(column(samples[g.over], func(s sample) float64 { return s.allocations }))
		}
		if got > 0 {
			f.verdicts = append(f.verdicts, verdict{g.text, fmt.Sprintf("at most %g", g.most), times(got), got <= g.most})
		}
	}
	return f
}
