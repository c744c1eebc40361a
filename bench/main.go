// Command bench measures what a request through Gatehouse costs, beside nginx
// without authentication, beside the standard library's reverse proxy, and
// beside other products when they are there, all in one interleaved run:
//
//	make bench
//	go run ./bench -scenarios http-1k -rounds 7
//	go run ./bench -scenarios stores -out docs
//	OAUTH2_PROXY=/usr/bin/oauth2-proxy go run ./bench -out docs
//
// The figure is CPU time: microseconds a request that the proxy's own
// processes take, user and system, children included. It survives a machine
// that is busy with other things, which requests a second and latencies do
// not. Absolute figures belong to one machine and one hour; ratios within one
// run are what to quote, and ratios closer than 8 % mean little.
//
// Gatehouse is the program of this source, built as `make build` does, with a
// session that was opened by signing in, identity headers, metrics, and the
// access log off. Behind every proxy is nginx with files, as cheap as it gets.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds             int
	duration, warm     time.Duration
	targets, scenarios []string // nil: all
	out                string
	peers              []peer
	gatehouse, nginx   string // programs; gatehouse "": built from the source
	profile            string
	sessions, sockets  int
	transfer           int64 // bytes
}

// A scenario is one thing to measure.
type scenario struct {
	name  string
	run   func(ctx context.Context, l *lab) (finding, error)
	apart bool // only done when it is named, alone, and reported elsewhere
}

// scenarios lists them in the order of the report.
func scenarios() []scenario {
	return []scenario{
		{name: "http-1k", run: race{
			title: "1 KiB answers", path: "/1k", length: 1 << 10, plot: true,
			targets: []string{direct, nginx, httputil, gate, oauth2}, against: []string{nginx, httputil},
			goals: []goal{
				{text: "CPU per request, 1 KiB, against nginx without authentication", over: gate, under: nginx, most: 2.1},
				{text: "the same against httputil.ReverseProxy without authentication", over: gate, under: httputil, most: 0.78},
				{text: "allocations per request, whole process", over: gate, allocations: true, most: 50},
			},
		}.run},
		{name: "http-100k", run: race{
			title: "100 KiB answers", path: "/100k", length: 100 << 10, plot: true,
			targets: []string{direct, nginx, httputil, gate, oauth2}, against: []string{nginx, httputil},
			goals: []goal{{text: "CPU per request, 100 KiB, against nginx without authentication", over: gate, under: nginx, most: 1.25}},
		}.run},
		{name: "routes-1000", run: race{
			title: fmt.Sprintf("%d routes and %d rules in place of 1 and 1, 1 KiB answers", manyRoutes, manyRules), path: "/1k", length: 1 << 10,
			targets: []string{gate, gateRoutes}, against: []string{gate},
			goals: []goal{{text: "1,000 routes and 100 rules over 1 and 1", over: gateRoutes, under: gate, most: 1.05}},
		}.run},
		{name: "access-log", run: race{
			title: "Access log on, 1 KiB answers", path: "/1k", length: 1 << 10,
			targets: []string{nginx, nginxLog, gate, gateLog}, against: []string{nginx, gate},
		}.run},
		{name: "sessions-1m", run: stored{race{
			title: "A store with many sessions, 1 KiB answers", path: "/1k", length: 1 << 10,
			targets: []string{gate, gateSessions}, against: []string{gate},
		}}.run},
		{name: "websockets", run: websockets{}.run},
		{name: "upload-1g", run: transfer{title: "1 GiB upload", upload: true}.run},
		{name: "download-1g", run: transfer{title: "1 GiB download"}.run},
		{name: storesName, run: stores{}.run, apart: true},
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	l, err := newLab(ctx, o, progress)
	defer func() { err = errors.Join(err, l.close()) }()
	if err != nil {
		return err
	}
	var r report
	for _, s := range scenarios() {
		if len(o.scenarios) == 0 && s.apart || len(o.scenarios) > 0 && !slices.Contains(o.scenarios, s.name) {
			continue
		}
		l.say("%s", s.name)
		f, err := s.run(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		r.findings = append(r.findings, f)
	}
	r.about, r.command = l.describe(ctx, r.findings), "make bench"
	if slices.Contains(o.scenarios, storesName) {
		r.about, r.command = l.describeStores(), "make bench-sessions"
	}
	if _, err := io.WriteString(out, r.markdown()); err != nil {
		return err
	}
	if o.out == "" {
		return nil
	}
	return r.save(o.out)
}

// parse reads the flags.
func parse(args []string, usage io.Writer) (options, error) {
	var o options
	var targets, names string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.IntVar(&o.rounds, "rounds", 3, "interleaved rounds")
	fs.DurationVar(&o.duration, "duration", 2*time.Second, "load on one target in one round")
	fs.DurationVar(&o.warm, "warm", time.Second, "warm-up before it")
	fs.StringVar(&targets, "targets", "", "comma-separated `NAMES` of targets, in place of all")
	fs.StringVar(&names, "scenarios", "", "comma-separated `NAMES` of scenarios, in place of all: "+strings.Join(scenarioNames(), ","))
	fs.StringVar(&o.out, "out", "", "`FOLDER` for performance.md (between its marks) and performance.svg; none: only print")
	fs.StringVar(&o.gatehouse, "gatehouse", "", "`PROGRAM` to measure in place of a build of this source")
	fs.StringVar(&o.nginx, "nginx", "nginx", "`PROGRAM` to compare with")
	fs.StringVar(&o.profile, "profile", "", "load nothing but the gate with http-1k, and write its CPU profile to `FILE`")
	fs.IntVar(&o.sessions, "sessions", 1_000_000, "sessions in the stores of sessions-1m and "+storesName)
	fs.IntVar(&o.sockets, "sockets", 10_000, "WebSockets of websockets")
	fs.Int64Var(&o.transfer, "transfer", 1<<30, "bytes of upload-1g and download-1g")
	fs.Func("peer", "another product: 'name=N;start=COMMAND;addr=HOST:PORT;cookie=COOKIE'; it finds the upstream in $UPSTREAM; repeatable", func(s string) error {
		p, err := parsePeer(s)
		o.peers = append(o.peers, p)
		return err
	})
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	o.targets, o.scenarios = list(targets), list(names)
	if o.profile != "" {
		o.targets, o.scenarios = []string{gate}, []string{"http-1k"}
	}
	for _, name := range o.scenarios {
		if !slices.Contains(scenarioNames(), name) {
			return options{}, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(scenarioNames(), ", "))
		}
	}
	switch {
	case slices.Contains(o.scenarios, storesName) && len(o.scenarios) > 1:
		return options{}, fmt.Errorf("%s is done alone", storesName)
	case fs.NArg() > 0:
		return options{}, fmt.Errorf("%q is no flag", fs.Arg(0))
	case o.rounds < 1 || o.duration <= 0 || o.warm <= 0 || o.sessions < 1 || o.sockets < 1 || o.transfer < 1:
		return options{}, errors.New("numbers and times must be more than nothing")
	}
	return o, nil
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}
