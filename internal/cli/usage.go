package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gatehouse/config"
	"gatehouse/internal/boltfile"
	"gatehouse/server/admin"
)

// A failedError is an error of a command's work; all others are of its words.
type failedError struct{ err error }

func (e *failedError) Error() string { return e.err.Error() }
func (e *failedError) Unwrap() error { return e.err }

// A usageError is one of a command's words, in a sentence that says what to
// write.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

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

// nothingMore is for commands that take flags alone.
func nothingMore(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s takes no %q: nothing but flags follows it", cmd.CommandPath(), args[0])
	}
	return nil
}

// one is for commands that take one thing.
func one(thing string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usage("%s: %s is missing", cmd.CommandPath(), thing)
		case 1:
			return nil
		default:
			// What follows is not repeated: it may be a password.
			return usage("%s takes %s and nothing more; put quotes around what has spaces in it", cmd.CommandPath(), thing)
		}
	}
}

// oneOfMine is for commands that only have others below them.
func oneOfMine(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	for _, c := range cmd.Commands() {
		if slices.Contains(c.SuggestFor, args[0]) {
			return usage("there is no command %q; did you mean %s?", cmd.CommandPath()+" "+args[0], c.CommandPath())
		}
	}
	if near := config.Nearest(args[0], names); near != "" {
		return usage("there is no command %q; did you mean %s %s?", cmd.CommandPath()+" "+args[0], cmd.CommandPath(), near)
	}
	return usage("there is no command %q; there are: %s", cmd.CommandPath()+" "+args[0], strings.Join(names, ", "))
}

// flagError says in a sentence what pflag found.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if letters := e.GetSpecifiedShortnames(); letters != "" {
			return usage("%s has no flag -%s; flags are written out: %s", cmd.CommandPath(), letters, strings.Join(flagNames(cmd), ", "))
		}
		name := e.GetSpecifiedName()
		if near := nearestFlag(cmd, name); near != "" {
			return usage("%s has no flag --%s; did you mean --%s?", cmd.CommandPath(), name, near)
		}
		return usage("%s has no flag --%s; it has: %s", cmd.CommandPath(), name, strings.Join(flagNames(cmd), ", "))
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		what, _ := pflag.UnquoteUsage(e.GetFlag())
		return usage("--%s needs a value: --%s %s", e.GetFlag().Name, e.GetFlag().Name, what)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		f := e.GetFlag()
		switch f.Value.Type() {
		case "int":
			return usage("--%s wants a number, and not %q", f.Name, e.GetValue())
		case "bool":
			return usage("--%s is a switch: write it alone, without %q", f.Name, "="+e.GetValue())
		default:
			if what := wanted[f.Name]; what != "" {
				return usage("--%s wants %s, and not %q", f.Name, what, e.GetValue())
			}
			return usage("--%s: %v", f.Name, errors.Unwrap(e))
		}
	}
	if e, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return usage("%q is no flag; flags look like --json or --user alice", e.GetSpecifiedFlag())
	}
	return usage("%v", err)
}

// wanted says what flags want whose values do not say so themselves.
var wanted = map[string]string{
	"network": "a network such as 10.0.0.0/8 or 2001:db8::/32",
	"address": "an IP address such as 192.0.2.7 or 2001:db8::1",
}

// flagNames lists the flags of a command, but not those of all.
func flagNames(cmd *cobra.Command) (names []string) {
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return names
}

func nearestFlag(cmd *cobra.Command, name string) string {
	var known []string
	for _, n := range flagNames(cmd) {
		known = append(known, strings.ReplaceAll(strings.TrimPrefix(n, "--"), "-", "_"))
	}
	return strings.ReplaceAll(config.Nearest(name, known), "_", "-")
}

// explain writes an error for people: what went wrong, and what to do about it.
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

// printableLines is printable for a text that may have several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = printable(l)
	}
	return strings.Join(lines, "\n")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

func inWords(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}

// remedy says what to do about what went wrong, "" where the error says so
// itself.
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
