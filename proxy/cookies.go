package proxy

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/httpfield"
)

// cookies holds the names of the gate's cookies, including the sticky ones of all
// routes.
type cookies struct{ names []string }

// without joins the Cookie lines of a request to one and removes the gate's
// cookies. The others stay byte for byte. It returns "" if none is left.
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

// join appends s to a list separated by semicolons; an empty s is skipped.
func join(b *strings.Builder, s string) {
	if s == "" {
		return
	}
	if b.Len() > 0 {
		b.WriteString("; ")
	}
	b.WriteString(s)
}

// mentions reports whether any parser of Cookie or Set-Cookie might find one of the
// gate's cookies in line. Parsers differ in what they accept as whitespace, quotes
// and separators, in letter case, and in cookies without a name (one that is set as
// =name=value is sent back as name=value).
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

// isOurs reports whether item is name=value, or a name alone, for one of the names.
// Most parsers treat a comma as a part of the value, so a name alone counts only if
// it is the first item, in front of any comma.
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

// notInName reports whether c cannot occur in the name of a cookie (RFC 6265,
// 4.1.1).
func notInName(c rune) bool {
	return c >= utf8.RuneSelf || !httpfield.IsTokenChar(byte(c)) //nolint:gosec // G115: it is ASCII
}

// dropOwnCookies is the answer filter that drops Set-Cookie lines that any parser
// could take for a cookie of the gate, and cookies for the gate's own pages, which
// could only interfere there.
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

// forOwnPages reports whether the Path of a Set-Cookie line lies below auth.Prefix.
func forOwnPages(line string) bool {
	_, attributes, _ := strings.Cut(line, ";")
	for part := range strings.SplitSeq(attributes, ";") {
		if name, path := attribute(part); strings.EqualFold(name, "path") && ownLike(path) {
			return true
		}
	}
	return false
}
