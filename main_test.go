package main_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"

	"gatehouse/internal/e2e"
)

// program is the built gatehouse. The tests here run it as a black box, over
// real sockets.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gatehouse")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "gatehouse")
	if err := os.Setenv("GORACE", e2e.RaceOptions); err != nil { // for the commands that tests run
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	args := []string{"build", "-pgo=off", "-o", program} // off: as the tests are built, in half the time
	if raceDetector() {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(context.Background(), "go", append(args, ".")...).CombinedOutput(); err != nil { //nolint:gosec // the Go tool
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	// Tests here wait for sockets and clocks far more than they compute.
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p != nil && p.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = p.Value.Set(strconv.Itoa(4 * runtime.GOMAXPROCS(0)))
	}
	return m.Run()
}

// raceDetector says whether the tests were built with it; then the program
// is as well, and may take several times as long.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// slower is what times and sizes are multiplied with under the race detector.
func slower() int {
	if raceDetector() {
		return 10
	}
	return 1
}

// modes runs f over HTTP/1.1, HTTP/1.1 with TLS, and HTTP/2.
func modes(t *testing.T, f func(t *testing.T, m e2e.Mode)) {
	t.Helper()
	t.Parallel()
	for _, m := range e2e.Modes {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			f(t, m)
		})
	}
}

// start runs the program; see e2e.Start.
func start(tb testing.TB, m e2e.Mode, config string) *e2e.Gate {
	tb.Helper()
	return e2e.Start(tb, program, m, config)
}

// standard is the configuration of most tests: one application, a public
// folder, a public page, a folder for admins, and the rest for whoever is
// signed in.
func standard(upstream string) string {
	return `
routes:
  - upstream: ` + upstream + `
    access:
      - {path: /public, public: true}
      - {exact: /healthz, public: true}
      - {path: /admin, groups: [admins]}
      - {}
`
}
