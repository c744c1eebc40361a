package cli

import (
	"fmt"
	"strings"
)

// markdownHead is the beginning of docs/commands.md.
const markdownHead = `# Commands

This page is made from what ` + "`gatehouse COMMAND --help`" + ` says; ` + "`gatehouse man DIR`" + ` makes man pages from it.

Data go to standard output, everything else to standard error. Where data are listed there is ` + "`--json`" + `, an object a line.
` + "`NO_COLOR`" + ` and ` + "`TERM=dumb`" + ` are honoured; in a pipe nothing is cut or coloured.

Exit status: ` + exitStatus + `

`

// markdownOf returns all pages as the text of docs/commands.md, with a table of
// contents of the commands below the root.
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

// markdown returns the page as a section of docs/commands.md.
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

// cell escapes text for a cell of a Markdown table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
