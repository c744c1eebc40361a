package proxy

import (
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
)

// cacheControl is what the Cache-Control of an answer says (RFC 9111, 5.2.2),
// in all its lines.
type cacheControl struct {
	kept     []string // the directives that may stay in an answer for one person, as they were written
	closed   bool     // no-store, or private for the whole answer: no shared cache may store it
	opened   bool     // public, s-maxage, or private for some fields only: a shared cache might
	policy   bool     // some directive says who may store the answer, or for how long
	noStore  bool     // no-store is among them
	unusable bool     // the value is malformed, so that caches may read it differently
}

// readCacheControl parses the lines of a Cache-Control: names in any letter case, values
// that are tokens or quoted strings, empty elements.
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

// directiveEnd returns the end of the first element of a list: the index of the first
// comma outside of quotes (RFC 9110, 5.6.1 and 5.6.4), or the length of s.
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

// take adds a directive. It returns false if text is none.
func (c *cacheControl) take(text string) bool {
	name, value, valued := strings.Cut(text, "=")
	if !httpfield.IsToken(name) || valued && !httpfield.IsToken(value) && !isQuoted(value) {
		// Of a malformed directive only what makes the answer more private counts.
		c.noStore = c.noStore || strings.Contains(strings.ToLower(text), "no-store")
		return false
	}
	switch strings.ToLower(name) {
	case "public", "s-maxage":
		c.opened, c.policy = true, true
		return true
	case "private":
		if valued { // the fields that it names only
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

// forOne returns a Cache-Control by which no shared cache may store the answer, and which
// otherwise means the same. If neither c nor another field (otherPolicy) says how long
// an answer is fresh, private caches have to revalidate it.
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

const privateNoCache = "private, no-cache"

// isQuoted reports whether s is one quoted-string (RFC 9110, 5.6.4).
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

// isSeconds reports whether s is a number of seconds (RFC 9111, 1.2.2).
func isSeconds(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// keepPrivate sets Cache-Control such that no shared cache stores the answer, whatever the
// application says. What is private already stays byte for byte as it came.
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

// keepNowhere sets Cache-Control such that no cache stores the answer.
func keepNowhere(h http.Header) {
	dropTargeted(h)
	h["Cache-Control"] = noStore
}

// dropTargeted removes the fields that shared caches obey in place of Cache-Control: those
// of RFC 9213 (CDN-Cache-Control, and of vendors such as Cloudflare-CDN-Cache-Control),
// Surrogate-Control of Edge Side Includes, Edge-Control of Akamai, and X-Accel-Expires
// of nginx.
func dropTargeted(h http.Header) {
	for name := range h {
		if strings.HasSuffix(name, "-Control") && (strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" || name == "Edge-Control") ||
			name == "X-Accel-Expires" {
			delete(h, name)
		}
	}
}

// Values that many answers share, so that none has to be allocated. They must not be
// changed: appending to one makes a new slice.
var (
	varyCookie = []string{"Cookie"}
	private    = []string{privateNoCache}
	noStore    = []string{"no-store"}
)
