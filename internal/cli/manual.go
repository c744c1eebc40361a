package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A manPage is what the manual says about one command. man(1) and
// docs/commands.md are two ways to write it.
type manPage struct {
	cmd *cobra.Command
}

// manual returns the page of root, followed by those of all commands below it
// that the help shows, in its order.
func manual(root *cobra.Command) []manPage {
	list := []manPage{{root}}
	for _, c := range (manPage{root}).below() {
		list = append(list, manual(c)...)
	}
	return list
}

// name returns the name of the page, such as gatehouse-user-add. It is also the
// anchor of its heading in docs/commands.md.
func (m manPage) name() string { return strings.ReplaceAll(m.cmd.CommandPath(), " ", "-") }

// usage returns the synopsis of the command.
func (m manPage) usage() string {
	if m.cmd.HasAvailableSubCommands() {
		return m.cmd.CommandPath() + " COMMAND [flags]"
	}
	return strings.TrimSuffix(m.cmd.UseLine(), " [flags]") + " [flags]"
}

// A manFlag is a flag as the manual shows it: how it is written, such as --user
// NAME, and what it does.
type manFlag struct{ words, what string }

// flags returns the flags of the command itself. For the root, these are also the
// flags of all commands. A default that is the zero value is not shown.
func (m manPage) flags() (list []manFlag) {
	m.cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		placeholder, what := pflag.UnquoteUsage(f)
		words := "--" + f.Name
		if f.Shorthand != "" {
			words = "-" + f.Shorthand + ", " + words
		}
		if f.Value.Type() != "bool" {
			words += " " + placeholder
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" {
			what += " (default: " + f.DefValue + ")"
		}
		list = append(list, manFlag{words, what})
	})
	return list
}

// below returns the subcommands that the help shows.
func (m manPage) below() (list []*cobra.Command) {
	for _, c := range m.cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			list = append(list, c)
		}
	}
	return list
}

// example returns the example without its indentation.
func (m manPage) example() string {
	var lines []string
	for line := range strings.Lines(m.cmd.Example) {
		lines = append(lines, strings.TrimPrefix(strings.TrimRight(line, "\n"), "  "))
	}
	return strings.Join(lines, "\n")
}

// A paragraph is text that may be wrapped, or a block that must not be wrapped.
type paragraph struct {
	text  string
	block bool
}

// paragraphs splits the long text of a command at empty lines. A paragraph that
// is indented is a block.
func paragraphs(long string) (list []paragraph) {
	for part := range strings.SplitSeq(strings.TrimSpace(long), "\n\n") {
		list = append(list, paragraph{part, strings.HasPrefix(part, "  ")})
	}
	return list
}

// exitStatus explains the exit codes in the manual. See Run.
const exitStatus = `0 when it did what it was told, 1 when that failed, 2 when its words were wrong, 78 when the configuration is invalid.`
