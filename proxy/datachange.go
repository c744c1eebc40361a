package proxy

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
	"gatehouse/sessions"
)

// The headers by which an application keeps values in the session.
const (
	dataHeader       = "X-Session-Data"   // to the application: key=value; key=value
	setDataHeader    = "X-Session-Set"    // from it: key=value, key=value
	deleteDataHeader = "X-Session-Delete" // from it: key, key
	expiryHeader     = "X-Session-Expiry" // from it: 0, seconds, or a date; see readExpiry
)

// Bounds on what a route keeps in one session. All of it has to fit on a header
// line that every server accepts.
const (
	maxDataKeys = 32
	maxDataSize = 4096 // bytes of the value of dataHeader
)

// A dataChange is what an answer asks to be kept, deleted, or to expire. Keys and
// values are spelled as escape spells them.
type dataChange struct {
	set     []dataPair
	delete  []string
	expiry  *sessions.Expiry // nil: it stays as it is
	refused []error          // what could not be read
}

// takeData returns what the answer with the header h asks for. The fields that
// ask are deleted from h by dropForged.
func takeData(h http.Header) (c dataChange) {
	if set, del := h[setDataHeader], h[deleteDataHeader]; len(set)+len(del) > 0 {
		c = readData(set, del)
	}
	if lines := h[expiryHeader]; len(lines) > 0 {
		e, err := readExpiry(lines, time.Now())
		if err != nil {
			c.refuse("expiry", lines[0], err)
		} else {
			c.expiry = &e
		}
	}
	return c
}

// asks reports whether there is anything to do or to report.
func (c *dataChange) asks() bool {
	return len(c.set)+len(c.delete)+len(c.refused) > 0 || c.expiry != nil
}

// expiryOrNone returns the expiry for a session that is about to be made.
func (c *dataChange) expiryOrNone() sessions.Expiry {
	if c.expiry == nil {
		return sessions.Expiry{}
	}
	return *c.expiry
}

// longestExpiry is the most seconds that an expiry can have; more count as this
// many.
const longestExpiry = 100 * 365 * 24 * 60 * 60

// readExpiry reads the value of expiryHeader, which means what it means to
// Django's set_expiry: 0 for the end of the browser's session, seconds without
// use, or a date (RFC 9110, 5.6.7). A date that has passed ends the session.
func readExpiry(lines []string, now time.Time) (sessions.Expiry, error) {
	text := httpfield.TrimOWS(lines[0])
	if len(lines) > 1 {
		return sessions.Expiry{}, errors.New("stands there twice")
	}
	if at, err := http.ParseTime(text); err == nil {
		if !at.After(now) {
			return sessions.Expiry{After: -1}, nil
		}
		return sessions.Expiry{At: at.UTC()}, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), text != "" && text[0] == '+':
		return sessions.Expiry{}, errors.New("is neither a number of seconds nor an HTTP date")
	case n == 0:
		return sessions.Expiry{AtBrowserClose: true}, nil
	}
	return sessions.Expiry{After: time.Duration(min(n, longestExpiry)) * time.Second}, nil
}

type dataPair struct{ key, value string }

// readData reads the lines of setDataHeader and deleteDataHeader. Each is a
// list (RFC 9110, 5.6.1), so several lines are the same as one with commas.
func readData(set, del []string) dataChange {
	var c dataChange
	for part := range httpfield.Elements(del) {
		key, err := respell(part)
		if err != nil {
			c.refuse("delete", part, err)
			continue
		}
		c.delete = append(c.delete, key)
	}
	for part := range httpfield.Elements(set) {
		name, text, ok := strings.Cut(part, "=")
		if !ok {
			c.refuse("set", part, errors.New("there is no = behind the key"))
			continue
		}
		key, err := respell(name)
		var value string
		if err == nil && text != "" {
			value, err = respell(text)
		}
		if err != nil {
			c.refuse("set", name, err)
			continue
		}
		c.set = append(c.set, dataPair{key, value})
	}
	return c
}

// refuse notes why something is not done. The value stays out of the error: it
// may be a secret.
func (c *dataChange) refuse(what, key string, err error) {
	c.refused = append(c.refused, fmt.Errorf("%s %.40q: %w", what, key, err))
}

// apply changes values and reports whether it did. Deletions come first, so a
// key that is both set and deleted is set. A value that would exceed the bounds
// is left as it was, with an error in over.
func (c *dataChange) apply(values map[string]string) (changed bool, over []error) {
	for _, key := range c.delete {
		if _, ok := values[key]; ok {
			delete(values, key)
			changed = true
		}
	}
	size := dataSize(values)
	for _, p := range c.set {
		old, ok := values[p.key]
		if ok && old == p.value {
			continue
		}
		next := size + pairSize(p.key, p.value)
		if ok {
			next -= pairSize(p.key, old)
		}
		switch {
		case !ok && len(values) >= maxDataKeys:
			over = append(over, fmt.Errorf("set %.40q: there are %d keys already", p.key, maxDataKeys))
		case next-2 > maxDataSize:
			over = append(over, fmt.Errorf("set %.40q: %d bytes together are more than %d", p.key, next-2, maxDataSize))
		default:
			values[p.key], size, changed = p.value, next, true
		}
	}
	return changed, over
}

// dataSize returns the length of what formatData returns, plus two for a
// separator at the end.
func dataSize(values map[string]string) (n int) {
	for key, value := range values {
		n += pairSize(key, value)
	}
	return n
}

func pairSize(key, value string) int { return len(key) + len("=") + len(value) + len("; ") }

// formatData returns the value of dataHeader, sorted by key.
func formatData(values map[string]string) string {
	var b strings.Builder
	b.Grow(dataSize(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(values[key])
	}
	return b.String()
}

// respell returns a percent-encoded text as escape spells it. It refuses what
// readers disagree about: a plus (itself, or a space), quotes, semicolons, and
// whatever should have been encoded.
func respell(s string) (string, error) {
	if s == "" {
		return "", errors.New("is empty")
	}
	raw := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) || urlpath.Unhex(s[i+1]) < 0 || urlpath.Unhex(s[i+2]) < 0 {
				return "", errors.New("has a % that is not followed by two hexadecimal digits")
			}
			raw = append(raw, byte(urlpath.Unhex(s[i+1])<<4|urlpath.Unhex(s[i+2]))) //nolint:gosec // two hexadecimal digits
			i += 2
		case c <= ' ' || c >= 0x7f || strings.IndexByte(`+;,"\`, c) >= 0:
			return "", fmt.Errorf("has the byte %#02x, which must be percent-encoded", c)
		default:
			raw = append(raw, c)
		}
	}
	return escape(raw), nil
}

// escape percent-encodes every byte that is not unreserved (RFC 3986, 2.3).
func escape(raw []byte) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(raw))
	for _, c := range raw {
		if httpfield.IsAlphanumeric(c) || strings.IndexByte("-._~", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}
