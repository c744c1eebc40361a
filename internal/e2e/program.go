package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
)

// program is the path of the built gatehouse; "" outside of Main.
var program string

// Program returns the path of the built gatehouse, for tests whose TestMain
// calls Main.
func Program() string {
	if program == "" {
		panic("e2e: TestMain does not call e2e.Main")
	}
	return program
}

// Main builds the program, runs the tests of a package in the root of the
// repository, and returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(e2e.Main(m)) }
func Main(m *testing.M) int {
	dir, err := prepare()
	defer func() { _ = os.RemoveAll(dir) }()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Black-box tests wait for sockets and clocks far more than they compute.
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p != nil && p.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = p.Value.Set(strconv.Itoa(4 * runtime.GOMAXPROCS(0)))
	}
	return m.Run()
}

// prepare changes to the root of the repository and builds the program in a new
// folder, which it returns, also with an error.
func prepare() (dir string, err error) {
	if err := enterRoot(); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "gatehouse"); err != nil {
		return "", err
	}
	if err := os.Setenv("GORACE", RaceOptions); err != nil { // for the commands that tests run
		return dir, err
	}
	program = filepath.Join(dir, "gatehouse")
	args := []string{"build", "-pgo=off", "-o", program} // off: as the tests are built, in half the time
	if Race() {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(context.Background(), "go", append(args, ".")...).CombinedOutput(); err != nil { //nolint:gosec // the Go tool
		return dir, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
}

// enterRoot changes to the nearest parent folder that has a go.mod.
func enterRoot() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return os.Chdir(dir)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return errors.New("e2e: there is no go.mod in any folder above")
		}
		dir = parent
	}
}

// Race reports whether the tests were built with the race detector. The program
// is then built with it, too, and may be several times slower.
func Race() bool {
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

// Slower returns the factor by which limits on time and memory are larger under
// the race detector: 1 without it.
func Slower() int {
	if Race() {
		return 10
	}
	return 1
}
