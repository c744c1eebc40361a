package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/bench/load"
)

// stores runs the contest of bench/stores/contest, step by step in turns. Then it
// measures a gate that has all those sessions, and removes the expired ones while it
// serves.
type stores struct{}

// storesName is the name of the scenario that only runs alone: it takes longer than
// all others together, and has no requests in it.
const storesName = "stores"

// A contestant is a program of bench/stores/contest, and what it has printed.
type contestant struct {
	name    string
	program []string
	dir     string
	got     map[string][]float64 // by figure, one for each round
}

// Limits on what a sweep may do to the requests at the same time.
const (
	sweepP99  = 10 // ms
	calmLoad  = 5 * time.Second
	sweepLoad = 10 * time.Minute // as long as it takes
)

func (stores) run(ctx context.Context, l *lab) (finding, error) {
	list, missing, err := l.contestants(ctx)
	if err != nil {
		return finding{}, err
	}
	for _, do := range []string{"fill", "open", "find", "login", "expire", "sweep"} {
		n := l.o.sessions
		if do == "expire" {
			n /= 2
		}
		rounds := l.o.rounds
		if do == "fill" || do == "expire" || do == "sweep" {
			rounds = 1 // they change what the others work on
		}
		for range rounds {
			for _, c := range list {
				if err := c.step(ctx, l, do, n); err != nil {
					return finding{}, err
				}
			}
		}
	}
	f := compare(list, l.o.sessions)
	f.note = missing
	s, err := l.sweptGate(ctx, list[0])
	if err != nil {
		return finding{}, err
	}
	f.note += fmt.Sprintf("The gate itself, as a process with %s sessions, answered %d ms after its start. It then removed %s expired ones in %.1f s, while %d signed-in requests/s "+
		"went through it: their p99 was %s ms before and %s ms meanwhile, the worst %s ms. Its memory: %s MiB before, %s MiB at most, the pages of the file that it has looked at included.",
		count(float64(l.o.sessions)), s.start.Milliseconds(), count(float64(l.o.sessions/2)), s.took.Seconds(), besideRate,
		times(milliseconds(s.calm.Latency.Quantile(0.99))), times(milliseconds(s.during.Latency.Quantile(0.99))), times(milliseconds(s.during.Latency.Quantile(1))),
		count(mebibytes(s.before)), count(mebibytes(s.peak)))
	p99 := milliseconds(s.during.Latency.Quantile(0.99))
	f.verdicts = []verdict{{
		fmt.Sprintf("p99 of %d requests/s while %s expired sessions are removed", besideRate, count(float64(l.o.sessions/2))),
		fmt.Sprintf("under %d ms", sweepP99), times(p99) + " ms", p99 < sweepP99,
	}}
	return f, nil
}

// contestants builds the programs, ours first, and says which cannot be built here.
func (l *lab) contestants(ctx context.Context) (list []*contestant, missing string, err error) {
	add := func(name string, program ...string) error {
		c := &contestant{name: name, program: program, dir: l.file("store-" + strconv.Itoa(len(list))), got: map[string][]float64{}}
		list = append(list, c)
		return os.Mkdir(c.dir, 0o700) //nolint:gosec // in our own folder
	}
	if _, err := l.command(ctx, "", "go", "build", "-trimpath", "-o", l.file("bin")+"/", "gatehouse/bench/stores"); err != nil {
		return nil, "", err
	}
	if err := add("Gatehouse", l.file("bin/stores")); err != nil {
		return nil, "", err
	}
	if _, err := l.command(ctx, "", "go", "build", "-C", filepath.Join(l.module, "bench/scs"), "-trimpath", "-o", l.file("bin/scs"), "."); err != nil {
		missing += "scs is not in the table: it could not be built. "
		l.say("  without scs: %v", err)
	} else if err := add("scs, bbolt", l.file("bin/scs")); err != nil {
		return nil, "", err
	}
	const python = "/usr/bin/python3"
	if version, err := l.command(ctx, "", python, "-c", "import django; print(django.get_version())"); err != nil {
		missing += "Django is not in the table: it is not installed. "
		l.say("  without Django: %v", err)
	} else if err := add("Django "+version+", SQLite", python, filepath.Join(l.module, "bench/django/sessions.py")); err != nil {
		return nil, "", err
	}
	return list, missing, nil
}

// step runs one step of the contestant.
func (c *contestant) step(ctx context.Context, l *lab, do string, n int) error {
	args := append(c.program[1:len(c.program):len(c.program)], "-dir", c.dir, "-do", do, "-n", strconv.Itoa(n))
	out, err := l.command(ctx, "", c.program[0], args...)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", c.name, do, err)
	}
	l.say("  %-24s %-7s %s", c.name, do, out)
	var figures map[string]float64
	if err := json.Unmarshal([]byte(out), &figures); err != nil {
		return fmt.Errorf("%s: %s: %w", c.name, do, err)
	}
	for name, v := range figures {
		c.got[name] = append(c.got[name], v)
	}
	return nil
}

// compare returns the table: a line for each figure, a column for each store.
func compare(list []*contestant, n int) finding {
	f := finding{title: count(float64(n)) + " sessions", head: []string{""}}
	for _, c := range list {
		f.head = append(f.head, c.name)
	}
	for _, l := range []struct {
		text, figure string
		write        func(float64) string
	}{
		{"bytes of the file for each session", "bytes_each", count},
		{"to open the store and find the first session, ms", "open_ms", figure},
		{"look-ups/s, each session for the first time", "cold", count},
		{"look-ups/s, the same sessions again", "hot", count},
		{"memory after these, MiB, without pages of files", "anon_mib", count},
		{"sign-ins/s on disk, one after the other", "logins_1", count},
		{"sign-ins/s on disk, 64 at once", "logins_many", count},
		{"to remove " + count(float64(n/2)) + " expired ones, s", "sweep_s", figure},
		{"p99 of 1,000 look-ups/s before, ms", "calm_p99", times},
		{"p99 of them meanwhile, ms", "sweep_p99", times},
	} {
		row := []string{l.text}
		for _, c := range list {
			row = append(row, l.write(median(c.got[l.figure])))
		}
		f.rows = append(f.rows, row)
	}
	return f
}

// swept is what was measured of a gate during a sweep.
type swept struct {
	start, took  time.Duration
	calm, during load.Result
	before, peak int64
}

// sweptGate starts a gate with the sessions of the contestant and half as many
// expired ones, and measures it while it sweeps.
func (l *lab) sweptGate(ctx context.Context, own *contestant) (s swept, err error) {
	if err := own.step(ctx, l, "expire", l.o.sessions/2); err != nil {
		return swept{}, err
	}
	if err := os.Rename(own.dir, l.file(storedData)); err != nil { //nolint:gosec // as above
		return swept{}, fmt.Errorf("data_dir: %w", err)
	}
	t, err := l.open(ctx, gateSessions)
	if err == nil && t == nil {
		err = errors.New("the gate is left out by -targets")
	}
	if err != nil {
		return swept{}, err
	}
	defer t.close()
	s.start = t.startup
	plan := load.Plan{Addr: t.addr, Request: t.request("/1k"), Length: 1 << 10, Conns: connections, Duration: calmLoad, Rate: besideRate}
	if s.calm, err = load.Run(ctx, plan); err != nil {
		return swept{}, err
	}
	u, err := usageOf(t.group())
	if err != nil {
		return swept{}, err
	}
	s.before = u.resident
	type end struct {
		took time.Duration
		said string
		err  error
	}
	beside, stop := context.WithCancel(ctx)
	defer stop()
	purged := make(chan end, 1)
	go func() {
		begin := time.Now()
		said, err := l.command(ctx, "", l.program("gatehouse"), "session", "purge", "--config", t.config)
		purged <- end{time.Since(begin), said, err}
		stop()
	}()
	plan.Duration = sweepLoad
	s.during, err = load.Run(beside, plan)
	e := <-purged
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = nil
	}
	if err = errors.Join(err, e.err); err != nil {
		return swept{}, fmt.Errorf("sweep: %w\n%s", err, t.wrote())
	}
	l.say("  gatehouse session purge: %s", strings.TrimSpace(e.said))
	s.took = e.took
	if u, err = usageOf(t.group()); err != nil {
		return swept{}, err
	}
	s.peak = u.peak
	return s, nil
}
