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

// The headers by which an application stores values in the session.
const (
	dataHeader       = "X-Session-Data"   // request: key=value; key=value
	setDataHeader    = "X-Session-Set"    // answer: key=value, key=value
	deleteDataHeader = "X-Session-Delete" // answer: key, key
	expiryHeader     = "X-Session-Expiry" // answer: 0, seconds, or a date; see readExpiry
)

// Bounds on what a route keeps in one session. All of it has to fit on a header
// line that every server accepts.
const (
	maxDataKeys = 32
	maxDataSize = 4096 // bytes of the value of dataHeader
)

// A dataChange is what an answer asks for: values to set or delete, and a new
// expiry. Keys and values are in the canonical spelling of escape. The zero value
// asks for nothing.
type dataChange struct {
	set     []dataPair
	delete  []string
	expiry  *sessions.Expiry // nil: unchanged
	refused []error          // why parts of it cannot be done
}

// takeData parses the session data fields of an answer. It leaves them in h;
// dropForged removes them.
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

// expiryOrNone returns the expiry for a new session; zero: the default.
func (c *dataChange) expiryOrNone() sessions.Expiry {
	if c.expiry == nil {
		return sessions.Expiry{}
	}
	return *c.expiry
}

// longestExpiry is the maximum expiry in seconds; larger values are reduced to it.
const longestExpiry = 100 * 365 * 24 * 60 * 60

// readExpiry parses expiryHeader, whose values mean the same as those of Django's
// set_expiry: 0 is the end of the browser session, another number is seconds of
// inactivity, and a date (RFC 9110, 5.6.7) is a fixed end. A date in the past ends
// the session now. Anything else, and a repeated header, is an error.
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

// A dataPair is a value to set, both in the spelling of escape.
type dataPair struct{ key, value string }

// readData parses the lines of setDataHeader and deleteDataHeader. Each header is a
// list (RFC 9110, 5.6.1), so several lines mean the same as one with commas.
// Malformed elements are recorded in refused; the others are still applied.
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

// refuse records why an element is not applied. The error never contains the value,
// which may be a secret.
func (c *dataChange) refuse(what, key string, err error) {
	c.refused = append(c.refused, fmt.Errorf("%s %.40q: %w", what, key, err))
}

// apply applies c to values and reports whether it changed them. Deletions come
// first, so a key that is both deleted and set is set. A value that would exceed
// the limits is not set; over has an error for each.
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

// dataSize returns the length of formatData(values) plus two, for a trailing
// separator.
func dataSize(values map[string]string) (n int) {
	for key, value := range values {
		n += pairSize(key, value)
	}
	return n
}

// pairSize returns what one pair adds to dataSize.
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

// respell converts a percent-encoded text to the spelling of escape. Characters on
// which parsers disagree are errors: a plus (literal, or a space), quotes,
// semicolons, and anything that has to be percent-encoded. So is an empty text.
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
