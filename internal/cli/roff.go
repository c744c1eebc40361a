package cli

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// manDate returns the date of the pages: SOURCE_DATE_EPOCH, which packagers set
// for reproducible builds, else the date of the revision, else today.
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

// roff returns the page in the language of man(1), see man(7).
//
// cobra/doc could do that, but it shows each flag with its default in place of
// the placeholder, and has no sections for exit status and subcommands.
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

// roffText escapes what roff would take for markup: backslashes, hyphens, and a
// dot or an apostrophe that begins a line.
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
