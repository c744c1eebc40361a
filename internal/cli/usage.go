package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gatehouse/internal/suggest"
)

// A usageError is a mistake in the arguments, as a sentence that says what to
// write. Its exit code is 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// usage returns a usageError.
func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// noArguments accepts flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s takes no %q: nothing but flags follows it", cmd.CommandPath(), args[0])
	}
	return nil
}

// exactlyOne accepts exactly one argument; thing says in errors what it is.
func exactlyOne(thing string) cobra.PositionalArgs {
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

// knownSubcommand is the Args of commands that have only subcommands. cobra
// passes it what is not the name of a subcommand: any argument is an error, which
// suggests the nearest one.
func knownSubcommand(cmd *cobra.Command, args []string) error {
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
	if near := suggest.Nearest(args[0], names); near != "" {
		return usage("there is no command %q; did you mean %s %s?", cmd.CommandPath()+" "+args[0], cmd.CommandPath(), near)
	}
	return usage("there is no command %q; there are: %s", cmd.CommandPath()+" "+args[0], strings.Join(names, ", "))
}

// flagError returns an error of pflag as a usageError that says what to write.
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

// wanted says what the value of a flag looks like, for types whose errors do not.
var wanted = map[string]string{
	"network": "a network such as 10.0.0.0/8 or 2001:db8::/32",
	"address": "an IP address such as 192.0.2.7 or 2001:db8::1",
}

// flagNames returns the flags of a command, then those of all commands, each with
// its hyphens.
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

// nearestFlag returns the flag of the command that was probably meant, without
// hyphens in front; "" if none is similar. suggest compares words with
// underscores.
func nearestFlag(cmd *cobra.Command, name string) string {
	var known []string
	for _, n := range flagNames(cmd) {
		known = append(known, strings.ReplaceAll(strings.TrimPrefix(n, "--"), "-", "_"))
	}
	return strings.ReplaceAll(suggest.Nearest(name, known), "_", "-")
}
