// Package contest measures the same steps on different stores of sessions, each in
// a process of its own: fill, open, find, login, expire, sweep. A contestant is a
// program whose main function calls Main: bench/stores is ours, bench/scs is
// alexedwards/scs. bench/django does the same in Python.
package contest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Store is an open store of a contestant. Find and Login may be called by several
// goroutines at once.
type Store interface {
	// Fill creates n sessions that expire at the given time, in the fastest way
	// there is. They are on disk when it returns. It returns tokens of the first
	// few.
	Fill(n, few int, expires time.Time) (tokens []string, err error)
	// Find returns the user of the token's session, with all the checks that the
	// product makes of a request's cookie.
	Find(token string) (user string, err error)
	// Login creates a session of the user, without hashing a password. The session
	// is on disk when it returns.
	Login(user string) error
	// Sweep removes the sessions that have expired.
	Sweep() error
	Close() error
}

// A Result is what a contestant prints as JSON: the figures of one step. The others
// are zero.
type Result map[string]float64

const (
	few        = 5000           // sessions that are looked up
	besideRate = 1000           // look-ups a second beside a sweep
	crowd      = 64             // people who sign in at once
	lifetime   = 12 * time.Hour // of a session
	gone       = -2 * time.Hour // when those expire that a sweep removes
	tokensFile = "tokens"       // in the folder, beside the store's own files
)

// times say how long the steps take that have no end of their own.
type times struct {
	again time.Duration // to look the same sessions up
	login time.Duration // to sign in
	calm  time.Duration // to look up before a sweep
}

var usual = times{again: 3 * time.Second, login: 5 * time.Second, calm: 5 * time.Second}

// Main runs the step that the command line names, and prints its Result.
func Main(open func(dir string) (Store, error)) {
	begin := time.Now()
	dir := flag.String("dir", "", "`FOLDER` with the store")
	do := flag.String("do", "", "`STEP`: fill, open, find, login, expire, sweep")
	n := flag.Int("n", 1_000_000, "sessions of fill and expire")
	flag.Parse()
	r, err := usual.step(open, *dir, *do, *n, begin)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (t times) step(open func(string) (Store, error), dir, do string, n int, begin time.Time) (r Result, err error) {
	s, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	switch do {
	case "fill":
		return fill(s, dir, n)
	case "expire":
		_, err := s.Fill(n, 0, time.Now().Add(gone))
		return Result{}, err
	}
	tokens, err := readTokens(dir)
	if err != nil {
		return nil, err
	}
	switch do {
	case "open":
		if _, err := s.Find(tokens[0]); err != nil {
			return nil, fmt.Errorf("find: %w", err)
		}
		return Result{"open_ms": milliseconds(time.Since(begin))}, nil
	case "find":
		return t.find(s, tokens)
	case "login":
		one, err := t.logins(s, 1)
		if err != nil {
			return nil, err
		}
		many, err := t.logins(s, crowd)
		return Result{"logins_1": one, "logins_many": many}, err
	case "sweep":
		return t.sweep(s, tokens)
	default:
		return nil, fmt.Errorf("%q is no step", do)
	}
}

func fill(s Store, dir string, n int) (Result, error) {
	begin := time.Now()
	tokens, err := s.Fill(n, few, time.Now().Add(lifetime))
	if err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	took := time.Since(begin)
	size, err := sizeOf(dir)
	if err != nil {
		return nil, err
	}
	err = os.WriteFile(filepath.Join(dir, tokensFile), []byte(strings.Join(tokens, "\n")), 0o600)
	return Result{"fill_s": took.Seconds(), "bytes_each": float64(size) / float64(n)}, err
}

func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

func readTokens(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, tokensFile)) //nolint:gosec // the developer names the folder
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	return strings.Fields(string(text)), nil
}

// find looks up each session once, for the first time since the store was opened,
// and then all of them again and again.
func (t times) find(s Store, tokens []string) (Result, error) {
	all := func() error {
		for _, token := range tokens {
			if user, err := s.Find(token); err != nil || user == "" {
				return fmt.Errorf("find: %q, %w", user, err)
			}
		}
		return nil
	}
	begin := time.Now()
	if err := all(); err != nil {
		return nil, err
	}
	cold := time.Since(begin)
	begin = time.Now()
	n := 0
	for time.Since(begin) < t.again {
		if err := all(); err != nil {
			return nil, err
		}
		n += len(tokens)
	}
	hot := time.Since(begin)
	return Result{
		"cold": float64(len(tokens)) / cold.Seconds(), "hot": float64(n) / hot.Seconds(),
		"anon_mib": status("RssAnon:"), "rss_mib": status("VmRSS:"),
	}, nil
}

// logins returns the number of logins a second, with so many at the same time.
func (t times) logins(s Store, at int) (float64, error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		n    int
		errs []error
	)
	begin := time.Now()
	for who := range at {
		wg.Go(func() {
			done, err := 0, error(nil)
			for time.Since(begin) < t.login && err == nil {
				err = s.Login(fmt.Sprintf("guest-%d-%d", who, done))
				done++
			}
			mu.Lock()
			defer mu.Unlock()
			n += done
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return 0, fmt.Errorf("login: %w", errs[0])
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// sweep removes the expired sessions while others are looked up at a fixed rate.
// The latency of a look-up counts from the time at which it was due.
func (t times) sweep(s Store, tokens []string) (Result, error) {
	before, err := beside(s, tokens, func() error { time.Sleep(t.calm); return nil })
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	during, err := beside(s, tokens, s.Sweep)
	if err != nil {
		return nil, err
	}
	return Result{
		"sweep_s":    time.Since(begin).Seconds(),
		"calm_p99":   quantile(before, 0.99),
		"sweep_p99":  quantile(during, 0.99),
		"sweep_p999": quantile(during, 0.999),
	}, nil
}

// beside looks up sessions until do returns, and returns how long each took.
func beside(s Store, tokens []string, do func() error) ([]time.Duration, error) {
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	var took []time.Duration
	due := time.Now()
	for i := 0; ; i++ {
		select {
		case err := <-ended:
			return took, err
		default:
		}
		due = due.Add(time.Second / besideRate)
		time.Sleep(time.Until(due)) // no time at all when it is late
		if _, err := s.Find(tokens[i%len(tokens)]); err != nil {
			return nil, errors.Join(fmt.Errorf("find: %w", err), <-ended)
		}
		took = append(took, time.Since(due))
	}
}

// quantile returns the quantile q (0 to 1) in milliseconds.
func quantile(took []time.Duration, q float64) float64 {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return milliseconds(took[min(len(took)-1, int(q*float64(len(took))))])
}

// status returns the value of a line of /proc/self/status in MiB.
func status(name string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64) // 0: the kernel writes something else
			return kib / 1024
		}
	}
	return 0
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
