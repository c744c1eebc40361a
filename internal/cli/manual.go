package cli

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A manPage is what the manual says of one command.
type manPage struct {
	cmd *cobra.Command
}

// manual gives a page for each command that the help names, in its order.
func manual(root *cobra.Command) []manPage {
	list := []manPage{{root}}
	for _, c := range (manPage{root}).below() {
		list = append(list, manual(c)...)
	}
	return list
}

// name is gatehouse-user-add.
func (m manPage) name() string { return strings.ReplaceAll(m.cmd.CommandPath(), " ", "-") }

// usage is the command's words.
func (m manPage) usage() string {
	if m.cmd.HasAvailableSubCommands() {
		return m.cmd.CommandPath() + " COMMAND [flags]"
	}
	return strings.TrimSuffix(m.cmd.UseLine(), " [flags]") + " [flags]"
}

// A manFlag is a flag as the manual shows it.
type manFlag struct{ words, what string }

// flags are the command's own, and those of all at the root.
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

// below lists the commands below this one.
func (m manPage) below() (list []*cobra.Command) {
	for _, c := range m.cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			list = append(list, c)
		}
	}
	return list
}

// example gives the lines without their indentation.
func (m manPage) example() string {
	var lines []string
	for line := range strings.Lines(m.cmd.Example) {
		lines = append(lines, strings.TrimPrefix(strings.TrimRight(line, "\n"), "  "))
	}
	return strings.Join(lines, "\n")
}

// A paragraph is lines that flow, or an indented block that does not.
type paragraph struct {
	text  string
	block bool
}

func paragraphs(long string) (list []paragraph) {
	for part := range strings.SplitSeq(strings.TrimSpace(long), "\n\n") {
		list = append(list, paragraph{part, strings.HasPrefix(part, "  ")})
	}
	return list
}

const exitStatus = `0 when it did what it was told, 1 when that failed, 2 when its words were wrong, 78 when the configuration is invalid.`

// manDate is the day of SOURCE_DATE_EPOCH, which packagers set, else of the
// build's revision, else today.
func manDate() string {
	at := time.Now()
	if seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		at = time.Unix(seconds, 0)
	} else if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil && s.Key == "vcs.time" {
				at = t
			}
		}
	}
	return at.UTC().Format(time.DateOnly)
}

// roff writes the page for man(1).
func (m manPage) roff() string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH %s 1 %s "gatehouse %s" "Gatehouse"`, strings.ToUpper(m.name()), manDate(), m.cmd.Root().Version)
	line(".SH NAME\n%s \\- %s", roffText(m.name()), roffText(m.cmd.Short))
	line(".SH SYNOPSIS\n.B %s", roffText(m.usage()))
	line(".SH DESCRIPTION")
	for i, p := range paragraphs(m.cmd.Long) {
		switch {
		case p.block:
			line(".PP\n.nf\n%s\n.fi", roffText(p.text))
		case i > 0:
			line(".PP\n%s", roffText(p.text))
		default:
			line("%s", roffText(p.text))
		}
	}
	if list := m.below(); len(list) > 0 {
		line(".SH COMMANDS")
		for _, c := range list {
			line(".TP\n.BR %s (1)\n%s", roffText(manPage{c}.name()), roffText(c.Short))
		}
	}
	if list := m.flags(); len(list) > 0 {
		line(".SH OPTIONS")
		for _, f := range list {
			line(".TP\n.B %s\n%s", roffText(f.words), roffText(f.what))
		}
	}
	if text := m.example(); text != "" {
		line(".SH EXAMPLES\n.nf\n%s\n.fi", roffText(text))
	}
	line(".SH EXIT STATUS\n%s", roffText(exitStatus))
	if m.cmd.HasParent() {
		line(".SH SEE ALSO\n.BR %s (1)", roffText(manPage{m.cmd.Parent()}.name()))
	}
	return b.String()
}

// roffText escapes what roff would take for its own.
func roffText(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

const markdownHead = `# Commands

This page is made from what ` + "`gatehouse COMMAND --help`" + ` says; ` + "`gatehouse man DIR`" + ` makes man pages from it.

Data go to standard output, everything else to standard error. Where data are listed there is ` + "`--json`" + `, an object a line.
` + "`NO_COLOR`" + ` and ` + "`TERM=dumb`" + ` are honoured; in a pipe nothing is cut or coloured.

Exit status: ` + exitStatus + `

`

// markdownOf writes all pages as one text.
func markdownOf(pages []manPage) string {
	var b strings.Builder
	b.WriteString(markdownHead)
	for _, m := range pages {
		for _, c := range m.below() {
			if !m.cmd.HasParent() {
				_, _ = fmt.Fprintf(&b, "- [%s](#%s): %s\n", c.CommandPath(), manPage{c}.name(), c.Short)
			}
		}
	}
	for _, m := range pages {
		b.WriteString("\n" + m.markdown())
	}
	return b.String()
}

func (m manPage) markdown() string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	line("## %s\n\n%s.\n", m.cmd.CommandPath(), m.cmd.Short)
	line("```\n%s\n```\n", m.usage())
	for _, p := range paragraphs(m.cmd.Long) {
		if p.block {
			line("```\n%s\n```\n", p.text)
		} else {
			line("%s\n", strings.ReplaceAll(p.text, "<", "&lt;"))
		}
	}
	if list := m.below(); len(list) > 0 {
		line("| command | does |\n| --- | --- |")
		for _, c := range list {
			line("| [%s](#%s) | %s |", c.CommandPath(), manPage{c}.name(), cell(c.Short))
		}
		line("")
	}
	if list := m.flags(); len(list) > 0 {
		line("| flag | means |\n| --- | --- |")
		for _, f := range list {
			line("| `%s` | %s |", f.words, cell(f.what))
		}
		line("")
	}
	if text := m.example(); text != "" {
		line("```sh\n%s\n```", text)
	}
	return b.String()
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
