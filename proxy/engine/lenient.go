package engine

import (
	"bytes"
	"strings"
	"sync"

	"gatehouse/internal/httpfield"
)

// lenientEnd is headEnd, but lines may also end in a bare LF.
func lenientEnd(b []byte, seen *int) (int, error) {
	for {
		i := bytes.IndexByte(b[*seen:], '\n')
		if i < 0 {
			return 0, nil
		}
		line := bytes.TrimSuffix(b[*seen:*seen+i], []byte{'\r'})
		first := *seen == 0
		*seen += i + 1
		switch {
		case len(line) == 0 && first:
			return 0, answerError("there is no status line")
		case len(line) == 0:
			return *seen, nil
		}
	}
}

// mendHead repairs a head that lenientEnd has found, so that parseAnswer accepts it: lines
// end in CR LF, spaces after names are removed, and lines that are not fields are dropped;
// dropped is called with the name of each. A malformed Content-Length or
// Transfer-Encoding is still an error, because the end of the answer would be uncertain.
func mendHead(head string, dropped func(name string)) (string, error) {
	var b strings.Builder
	b.Grow(len(head) + 32)
	line, rest := cutLineEnd(head)
	b.WriteString(line + "\r\n")
	keeping, dropping := false, false // what was done with the line before, which its continuation shares
	for rest != "" {
		if line, rest = cutLineEnd(rest); line == "" {
			break
		}
		folded := line[0] == ' ' || line[0] == '\t'
		switch {
		case folded && dropping:
			continue
		case folded && keeping && httpfield.IsValue(line):
			b.WriteString(line + "\r\n")
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = httpfield.TrimOWS(name)
		keeping = ok && !folded && httpfield.IsToken(name) && httpfield.IsValue(value)
		dropping = !keeping
		switch {
		case keeping:
			b.WriteString(name + ":" + value + "\r\n")
		case frames(name):
			return "", answerError("field that says how long the answer is, is malformed")
		default:
			dropped(oddName(name))
		}
	}
	b.WriteString("\r\n")
	return b.String(), nil
}

func cutLineEnd(s string) (line, rest string) {
	line, rest, _ = strings.Cut(s, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// frames reports whether a line begins like one that says how long the answer is.
func frames(line string) bool {
	line = strings.ToLower(line)
	return strings.HasPrefix(line, "content-length") || strings.HasPrefix(line, "transfer-encoding")
}

// oddName returns the name of a line for the log: its first word, up to 32 bytes. The
// rest may be a secret.
func oddName(s string) string {
	const longest = 32
	if i := strings.IndexAny(s, " \t=;,"); i > 0 {
		s = s[:i]
	}
	return s[:min(len(s), longest)]
}

// oddLines remembers which dropped lines have been logged, so that a line which an
// upstream sends with every answer is logged once. The zero value is ready to use. It is
// safe for concurrent use.
type oddLines struct {
	mu   sync.Mutex
	seen map[string]bool
}

const maxOdd = 16 // warnings about one upstream

// first reports whether name is new, and there is room for one more warning.
func (o *oddLines) first(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[name] || len(o.seen) >= maxOdd {
		return false
	}
	if o.seen == nil {
		o.seen = map[string]bool{}
	}
	o.seen[name] = true
	return true
}

// dropped logs that a line was left out of an answer.
func (u *HTTP1) dropped(name string) {
	if u.odd.first(name) {
		u.o.Log.Warn("line of an answer's header dropped", "begins", name)
	}
}
