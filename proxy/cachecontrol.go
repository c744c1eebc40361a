package proxy

import (
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
)

// cacheControl is a parsed Cache-Control header of an answer (RFC 9111, 5.2.2), all
// lines taken together.
type cacheControl struct {
	kept     []string // the directives, unparsed, that may stay in an answer for one person
	closed   bool     // no-store, or private for the whole answer: no shared cache may store it
	opened   bool     // public, s-maxage, or private for some fields only: a shared cache might
	policy   bool     // some directive restricts who may store the answer or for how long it is fresh
	noStore  bool     // no-store is among them
	unusable bool     // the header is malformed, so that caches may interpret it differently
}

// readCacheControl parses the lines of a Cache-Control. Names are case-insensitive,
// values are tokens or quoted strings, and empty elements are skipped. It never
// fails: a malformed header sets unusable.
func readCacheControl(lines []string) (c cacheControl) {
	for _, line := range lines {
		for {
			line = strings.TrimLeft(line, " \t,")
			if line == "" {
				break
			}
			n := directiveEnd(line)
			text := strings.TrimRight(line[:n], " \t")
			line = line[n:]
			if !c.take(text) {
				c.unusable = true
			}
		}
	}
	return c
}

// directiveEnd returns the length of the first element of a comma-separated list:
// the index of the first comma outside quotes (RFC 9110, 5.6.1 and 5.6.4), or
// len(s).
func directiveEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return i
		}
	}
	return len(s)
}

// take adds one directive. It returns false if text is not a valid directive.
func (c *cacheControl) take(text string) bool {
	name, value, valued := strings.Cut(text, "=")
	if !httpfield.IsToken(name) || valued && !httpfield.IsToken(value) && !isQuoted(value) {
		// A malformed directive only counts where it makes the answer more private.
		c.noStore = c.noStore || strings.Contains(strings.ToLower(text), "no-store")
		return false
	}
	switch strings.ToLower(name) {
	case "public", "s-maxage":
		c.opened, c.policy = true, true
		return true
	case "private":
		if valued { // it restricts only the fields that it names
			c.opened, c.policy = true, true
			return true
		}
		c.closed, c.policy = true, true
	case "no-store":
		c.noStore, c.closed, c.policy = true, true, true
	case "no-cache":
		c.policy = c.policy || !valued
	case "max-age":
		c.policy = c.policy || isSeconds(strings.Trim(value, `"`))
	}
	c.kept = append(c.kept, text)
	return true
}

// forOne returns a Cache-Control that keeps the answer out of shared caches and
// otherwise means the same. If neither c nor another field (otherPolicy, as for
// Expires) sets a freshness, private caches have to revalidate the answer.
func (c *cacheControl) forOne(otherPolicy bool) string {
	switch {
	case c.noStore && c.unusable:
		return "no-store"
	case c.unusable:
		return privateNoCache
	case c.closed:
		return strings.Join(c.kept, ", ")
	case c.policy, otherPolicy:
		return strings.Join(append([]string{"private"}, c.kept...), ", ")
	default:
		return strings.Join(append([]string{privateNoCache}, c.kept...), ", ")
	}
}

// privateNoCache is the value for an answer without any freshness of its own.
const privateNoCache = "private, no-cache"

// isQuoted reports whether s is exactly one quoted-string (RFC 9110, 5.6.4).
func isQuoted(s string) bool {
	if len(s) < 2 || s[0] != '"' {
		return false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i == len(s)-1
		}
	}
	return false
}

// isSeconds reports whether s is a number of seconds (RFC 9111, 1.2.2). It may be
// of any length.
func isSeconds(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// keepPrivate sets Cache-Control so that no shared cache stores the answer,
// whatever the application says. A Cache-Control that is private already stays byte
// for byte.
func keepPrivate(h http.Header) {
	dropTargeted(h)
	lines := h["Cache-Control"]
	if len(lines) == 1 && (lines[0] == "private" || lines[0] == "no-store") {
		return
	}
	if len(lines) == 0 && len(h["Expires"]) == 0 {
		h["Cache-Control"] = private
		return
	}
	c := readCacheControl(lines)
	if c.closed && !c.opened && !c.unusable {
		return
	}
	h["Cache-Control"] = []string{c.forOne(len(h["Expires"]) > 0)}
}

// keepNowhere sets Cache-Control so that no cache stores the answer, not even the
// browser's.
func keepNowhere(h http.Header) {
	dropTargeted(h)
	h["Cache-Control"] = noStore
}

// dropTargeted removes the fields that shared caches obey instead of Cache-Control:
// the targeted fields of RFC 9213 (CDN-Cache-Control, and vendors' such as
// Cloudflare-CDN-Cache-Control), Surrogate-Control (Edge Side Includes),
// Edge-Control (Akamai) and X-Accel-Expires (nginx).
func dropTargeted(h http.Header) {
	for name := range h {
		if strings.HasSuffix(name, "-Control") && (strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" || name == "Edge-Control") ||
			name == "X-Accel-Expires" {
			delete(h, name)
		}
	}
}

// Values that many answers share, to save the allocation. They must not be
// modified; appending to one copies it, because its capacity is used up.
var (
	varyCookie = []string{"Cookie"}
	private    = []string{privateNoCache}
	noStore    = []string{"no-store"}
)
