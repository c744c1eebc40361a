package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/internal/boltfile"
	"gatehouse/server/admin"
)

// A failedError is an error in what a command did, as opposed to one in its
// arguments. Its exit code is 1 and not 2.
type failedError struct{ err error }

func (e *failedError) Error() string { return e.err.Error() }
func (e *failedError) Unwrap() error { return e.err }

// work returns f as the RunE of a command, with its errors marked as failedError.
// Usage errors stay as they are.
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

// explain writes an error for people, together with what to do about it, and
// returns the exit code. For a usage error that is an example and the way to the
// help.
func (p *cli) explain(cmd *cobra.Command, err error) int {
	s := screenOf(p.Err)
	say := func(format string, args ...any) {
		p.tell("%s %s\n", s.paint(red, "gatehouse:"), printableLines(fmt.Sprintf(format, args...)))
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		p.tell("%v\n", problems)
		return exitInvalid
	}
	if failed, ok := errors.AsType[*failedError](err); ok {
		say("%v", inWords(failed.err))
		if what := remedy(failed.err); what != "" {
			p.tell("%s\n", what)
		}
		return exitFailed
	}
	say("%v", err)
	if example := firstLine(cmd.Example); example != "" && !cmd.HasAvailableSubCommands() {
		p.tell("Example:  %s\n", example)
	}
	p.tell("Help:     %s --help\n", cmd.CommandPath())
	return exitUsage
}

// printableLines is printable for text of several lines, which it keeps.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = printable(l)
	}
	return strings.Join(lines, "\n")
}

// firstLine returns the first line of s without the space around s.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// inWords returns the error as people understand it: a context ends by Ctrl-C.
func inWords(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}

// remedy returns what to do about an error; "" if nothing is known, or if the
// text of the error already says so.
func remedy(err error) string {
	switch {
	case errors.Is(err, admin.ErrNoServer):
		return "Start it with:  gatehouse serve"
	case errors.Is(err, admin.ErrNoUser):
		return "All accounts:  gatehouse user list"
	case errors.Is(err, admin.ErrNoSession):
		return "All sessions:  gatehouse session list"
	case errors.Is(err, admin.ErrExists):
		return "Change it with:  gatehouse user set, or gatehouse user passwd"
	case errors.Is(err, boltfile.ErrLocked):
		return "Stop the other one, or give this one another data_dir. If it has only just begun or ended, try again."
	case errors.Is(err, admin.ErrRunning):
		return "For example:  systemctl stop gatehouse && gatehouse compact && systemctl start gatehouse"
	case errors.Is(err, syscall.EADDRINUSE):
		return "Another program listens there (ss -ltnp shows which). Stop it, or write another address."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "This machine has no such address (ip addr shows those that it has)."
	case errors.Is(err, syscall.ENOSPC):
		return "The disk is full. Free some space, then try again."
	case errors.Is(err, fs.ErrPermission):
		return "Run it as the user that owns the files, for example:  sudo -u OWNER gatehouse ..."
	default:
		return ""
	}
}
