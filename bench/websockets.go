package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"gatehouse/bench/load"
)

// websockets keeps many idle WebSockets open through each target, and requests files
// at the same time.
type websockets struct{}

// Limits on what a WebSocket may cost.
const (
	socketMemory = 40 // KiB each
	socketP99    = 10 // ms of the requests beside them
	besideRate   = 1000
)

// A crowd is what was measured of one target with many WebSockets.
type crowd struct {
	sockets  int
	each     float64 // KiB in memory
	resident float64 // MiB with all of them
	beside   load.Result
}

func (websockets) run(ctx context.Context, l *lab) (finding, error) {
	f := finding{
		title: fmt.Sprintf("%d idle WebSockets, and %d requests/s beside them", l.sockets(), besideRate),
		note:  "One round. The memory is that of the process beyond what it had before the first WebSocket.",
		head:  []string{"target", "KiB/WebSocket", "RSS MiB", "requests/s", "p50 ms", "p99 ms"},
	}
	for _, name := range []string{nginxSockets, httputil, gate} {
		t, err := l.open(ctx, name)
		if err != nil {
			return finding{}, err
		}
		if t == nil {
			continue
		}
		c, err := l.crowd(ctx, t)
		log := t.wrote()
		t.close()
		if err != nil {
			return finding{}, fmt.Errorf("%s: %w\n%s", name, err, log)
		}
		p50, p99 := milliseconds(c.beside.Latency.Quantile(0.50)), milliseconds(c.beside.Latency.Quantile(0.99))
		l.say("  %-26s %5.1f KiB each  p99 %.2f ms", name, c.each, p99)
		f.rows = append(f.rows, []string{name, figure(c.each), count(c.resident), count(c.beside.PerSecond()), times(p50), times(p99)})
		if name == gate {
			f.verdicts = append(f.verdicts,
				verdict{"memory of an idle WebSocket", fmt.Sprintf("under %d KiB", socketMemory), figure(c.each) + " KiB", c.each < socketMemory},
				verdict{fmt.Sprintf("p99 of %d requests/s beside %d WebSockets", besideRate, c.sockets), fmt.Sprintf("under %d ms", socketP99), times(p99) + " ms", p99 < socketP99})
		}
	}
	return f, nil
}

// sockets returns how many are opened: a proxy needs two descriptors for each, and
// some for itself.
func (l *lab) sockets() int { return min(l.o.sockets, (l.files-200)/2) }

func (l *lab) crowd(ctx context.Context, t *target) (c crowd, err error) {
	before, err := usageOf(t.group())
	if err != nil {
		return crowd{}, err
	}
	upgrade := load.Get(t.addr, "/ws", append(t.fields(), "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: http://"+t.addr)...)
	conns, err := load.Idle(ctx, t.addr, upgrade, l.sockets())
	defer func() { closeConns(conns) }()
	if err != nil {
		return crowd{}, err
	}
	after, err := settled(ctx, t.group())
	if err != nil {
		return crowd{}, err
	}
	c = crowd{sockets: len(conns), resident: mebibytes(after.resident)}
	c.each = float64(after.resident-before.resident) / 1024 / float64(len(conns))
	c.beside, err = load.Run(ctx, load.Plan{
		Addr: t.addr, Request: t.request("/1k"), Length: 1 << 10, Conns: connections, Duration: max(l.o.duration, time.Second), Rate: besideRate,
	})
	if err == nil && c.beside.Bad > 0 {
		err = fmt.Errorf("%d bad answers: %w", c.beside.Bad, c.beside.Err)
	}
	return c, err
}

// settled waits until the memory of a process group no longer changes, and returns
// it.
func settled(ctx context.Context, group int) (usage, error) {
	const still = 64 << 10
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	last, err := usageOf(group)
	for range 20 {
		if err != nil {
			return usage{}, err
		}
		select {
		case <-ctx.Done():
			return usage{}, ctx.Err()
		case <-tick.C:
		}
		var now usage
		if now, err = usageOf(group); err == nil && max(now.resident-last.resident, last.resident-now.resident) < still {
			return now, nil
		}
		last = now
	}
	return last, err
}

func closeConns(conns []net.Conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}
