package proxy

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/httpfield"
)

// cookies holds the names of the gate's cookies, sticky ones included.
type cookies struct{ names []string }

// without returns the Cookie lines as one, without the gate's cookies. The
// others stay byte for byte as they came. "": nothing is left.
func (c *cookies) without(lines []string) string {
	if len(lines) == 1 && !c.mentions(lines[0]) {
		return lines[0]
	}
	var b strings.Builder
	for _, line := range lines {
		if !c.mentions(line) {
			join(&b, line)
			continue
		}
		for part := range strings.SplitSeq(line, ";") {
			if part = httpfield.TrimOWS(part); !c.mentions(part) {
				join(&b, part)
			}
		}
	}
	return b.String()
}

func join(b *strings.Builder, s string) {
	if s == "" {
		return
	}
	if b.Len() > 0 {
		b.WriteString("; ")
	}
	b.WriteString(s)
}

// mentions reports whether some reader of a Cookie or Set-Cookie line might find
// a cookie of the gate in it. Readers differ in what they take for spaces,
// quotes and separators, in letter case, and in cookies without a name (one that
// is set as =name=value is sent back as name=value).
func (c *cookies) mentions(line string) bool {
	for part := range strings.SplitSeq(line, ";") {
		first := true
		for item := range strings.SplitSeq(part, ",") {
			if c.isOurs(item, first) {
				return true
			}
			first = false
		}
	}
	return false
}

// isOurs reports whether item is name=value with one of the names, or a name
// alone. Most readers take a comma for a part of the value, so behind one (not
// first) a name without a value does not count.
func (c *cookies) isOurs(item string, first bool) bool {
	item = strings.TrimLeftFunc(item, notInName)
	for _, name := range c.names {
		if len(item) < len(name) || !strings.EqualFold(item[:len(name)], name) {
			continue
		}
		rest := item[len(name):]
		if rest == "" {
			return first
		}
		if notInName(rune(rest[0])) && (first || strings.HasPrefix(strings.TrimLeft(rest, " \t\""), "=")) {
			return true
		}
	}
	return false
}

// notInName reports whether the name of a cookie cannot hold c (RFC 6265,
// 4.1.1).
func notInName(c rune) bool {
	return c >= utf8.RuneSelf || !httpfield.IsTokenChar(byte(c)) //nolint:gosec // G115: it is ASCII
}

// dropOwnCookies drops Set-Cookie lines that some reader could take for a
// cookie of the gate, and those that are for the gate's own pages alone, where
// they could only get in the way.
func dropOwnCookies(s *exchange, _ int, h http.Header) error {
	for _, name := range []string{"Set-Cookie", "Set-Cookie2"} {
		lines := h[name]
		kept := lines[:0]
		for _, line := range lines {
			if !s.p.cookies.mentions(line) && !forOwnPages(line) {
				kept = append(kept, line)
			}
		}
		switch {
		case len(lines) == 0:
		case len(kept) == 0:
			delete(h, name)
		default:
			h[name] = kept
		}
	}
	return nil
}

// forOwnPages reports whether the Path of a Set-Cookie line lies below the
// prefix of the gate's own pages.
func forOwnPages(line string) bool {
	_, attributes, _ := strings.Cut(line, ";")
	for part := range strings.SplitSeq(attributes, ";") {
		if name, path := attribute(part); strings.EqualFold(name, "path") && ownLike(path) {
			return true
		}
	}
	return false
}
