package proxy

import (
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
)

// cacheControl is what the Cache-Control of an answer says (RFC 9111, 5.2.2),
// in all its lines.
type cacheControl struct {
	kept     []string // the directives that may stay, as they were written
	closed   bool     // no-store, or private for the whole answer: no shared cache may keep it
	opened   bool     // public, s-maxage, or private for some fields only was among them
	policy   bool     // some directive says who may keep the answer, or for how long
	noStore  bool
	unusable bool // not by the grammar, so that caches may read it differently
}

// readCacheControl reads the lines of a Cache-Control. Names are in any case,
// values tokens or quoted strings, and empty elements say nothing.
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

// directiveEnd returns where the first element of a list ends: at a comma
// outside of quotes (RFC 9110, 5.6.1 and 5.6.4), or at the end.
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

// take adds one directive. It reports whether it is one.
func (c *cacheControl) take(text string) bool {
	name, value, valued := strings.Cut(text, "=")
	if !httpfield.IsToken(name) || valued && !httpfield.IsToken(value) && !isQuoted(value) {
		// What can be made out of it counts where it closes, and never where it opens.
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

// forOne returns a Cache-Control with which no shared cache keeps the answer,
// and otherwise the same meaning. Without any policy, nor by another field, a
// private cache has to ask again as well.
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

// keepPrivate tells caches that the answer is for one person: none that others
// use may keep it, whatever the application says.
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
		return // byte for byte as it came
	}
	h["Cache-Control"] = []string{c.forOne(len(h["Expires"]) > 0)}
}

// keepNowhere tells all caches to keep nothing.
func keepNowhere(h http.Header) {
	dropTargeted(h)
	h["Cache-Control"] = noStore
}

// dropTargeted drops what speaks to shared caches alone, which heed it in
// place of Cache-Control: RFC 9213 (CDN-Cache-Control and those of vendors,
// such as Cloudflare-CDN-Cache-Control), Surrogate-Control of Edge Side
// Includes, Edge-Control of Akamai, and X-Accel-Expires of nginx.
func dropTargeted(h http.Header) {
	for name := range h {
		if strings.HasSuffix(name, "-Control") && (strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" || name == "Edge-Control") ||
			name == "X-Accel-Expires" {
			delete(h, name)
		}
	}
}

// Values that many answers share. Nobody changes them: a value that is added
// makes a new list.
var (
	varyCookie = []string{"Cookie"}
	private    = []string{privateNoCache}
	noStore    = []string{"no-store"}
)
