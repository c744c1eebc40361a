// Gatehouse is an authenticating reverse proxy: it stands in front of a web
// application, serves its own login page, keeps the sessions, and forwards
// only what an authenticated person may send, with a header that says who it
// is. See README.md.
package main

import (
	"context"
	_ "embed" // the login page
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"gatehouse/config"
)

//go:embed login.html
var loginHTML string

// Exit codes (contract: Command line).
const (
	exitFailed  = 1
	exitUsage   = 2
	exitInvalid = 78 // EX_CONFIG of sysexits.h: do not start it again before the configuration is mended
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are what a command reads and writes: data on out, everything else
// on err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// tell writes to people. That it fails is no failure of the command: there is
// nobody left to tell.
func (s streams) tell(format string, args ...any) { _, _ = fmt.Fprintf(s.err, format, args...) }

// run is the whole program, for main and for tests. The exit code is 0, or
// one of those above.
func run(ctx context.Context, args []string, io streams) int {
	root := rootCommand(io)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var failed *failedError
	var problems config.Problems
	switch {
	case err == nil:
		return 0
	case errors.As(err, &problems):
		io.tell("%v\n", problems)
		return exitInvalid
	case errors.As(err, &failed):
		io.tell("gatehouse: %v\n", failed.err)
		return exitFailed
	default:
		io.tell("gatehouse: %v\nTry: gatehouse --help\n", err)
		return exitUsage
	}
}

// A failedError is an error of a command's work; all others are of its words.
type failedError struct{ err error }

func (e *failedError) Error() string { return e.err.Error() }
func (e *failedError) Unwrap() error { return e.err }

// work marks the errors of f as a command's work.
func work(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		var usage *usageError
		if err == nil || errors.As(err, &usage) {
			return err
		}
		return &failedError{err}
	}
}

// A usageError is found out by a command's work, and is of its words all the
// same.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// A cli is what the commands share.
type cli struct {
	streams
	configFile string // the flag --config; "": see findConfig
}

func rootCommand(io streams) *cobra.Command {
	p := &cli{streams: io}
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "A login in front of any web application",
		Long: `Gatehouse stands in front of a web application, asks people to sign in, and
forwards only what an authenticated person may send, with a header that says
who it is. The application is not changed.

Begin with:  gatehouse demo`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetVersionTemplate("gatehouse {{.Version}}\n")
	root.PersistentFlags().StringVar(&p.configFile, "config", "",
		"the configuration `FILE` (default: $GATEHOUSE_CONFIG, ./gatehouse.yaml, /etc/gatehouse/config.yaml)")
	root.AddCommand(
		p.serveCommand(), p.demoCommand(), p.checkCommand(), p.reloadCommand(),
		p.userCommand(), p.sessionCommand(), p.hashCommand(), p.explainCommand(), p.healthCommand(),
		p.versionCommand(),
	)
	return root
}

func (p *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: work(func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.out, "gatehouse", version())
			return err
		}),
	}
}

// release is set by the linker (-X main.release=1.2.3); "" in a build from
// the source tree.
var release string

func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	if revision == "" {
		return "devel"
	}
	return "devel-" + revision[:min(12, len(revision))] + dirty
}
