package sessions

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

const (
	hostPrefix = "__Host-"

	// An id is 256 random bits; the cookie and Session.ID have it as base64url.
	idBytes = 32
	idLen   = 43

	// cookieLen is the length of every value that we write: securecookie's base64
	// of the time, "|", base64 of the id, "|" and the HMAC.
	cookieLen = 140

	// provedMax is how many cookies that were verified are remembered.
	provedMax = 64 << 10
)

// A proof is what is known of a cookie's value of which the signature is good.
type proof struct {
	key   string
	ring  *ring // authenticates the session's record
	until int64 // in seconds since 1970: the last second in which the signature counts
	old   bool  // it was signed with a secret that is no longer the first
}

// newID returns the id of a new session.
func newID() string {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// keyOf returns the key under which the store has the session with the id.
func keyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// prove returns what is known of a cookie's value. A value that was verified
// before costs one hash and one look-up.
func (m *Manager) prove(value string, now time.Time) (p proof, ok bool) {
	if len(value) != cookieLen {
		return proof{}, false
	}
	var buf [cookieLen]byte
	copy(buf[:], value)
	sum := sha256.Sum256(buf[:])
	if p, ok := m.proved.get(sum); ok && now.Unix() <= p.until {
		return p, true
	}
	id, signed, by, ok := m.verify(value)
	if !ok {
		return proof{}, false
	}
	k, err := m.ringOf(id)
	if err != nil {
		return proof{}, false
	}
	p = proof{key: keyOf(id), ring: k, until: signed + int64(m.signedFor/time.Second), old: by > 0}
	m.proved.put(sum, p)
	return p, true
}

// findCookie returns the value of the last cookie with the name, and how many there
// are. Names are compared byte by byte: letter case counts in them.
func findCookie(lines []string, name string) (value string, n int) {
	for _, line := range lines {
		for len(line) > 0 {
			var part string
			part, line, _ = strings.Cut(line, ";")
			if rest, ok := strings.CutPrefix(httpfield.TrimOWS(part), name); ok {
				if v, ok := strings.CutPrefix(httpfield.TrimOWS(rest), "="); ok {
					value = httpfield.TrimOWS(v)
					n++
				}
			}
		}
	}
	return value, n
}

// verify checks the form of a cookie's value, then its signature. It returns the id,
// the second in which it was signed, and the index of the secret that has signed
// it. Each value has one spelling: base64 that a decoder would merely tolerate is
// refused, so that no two values open the same session.
func (m *Manager) verify(value string) (id string, signed int64, by int, ok bool) {
	return m.verifyAs(m.o.Cookie.Name, value)
}

// verifyAs is verify for a value that was signed under the name.
func (m *Manager) verifyAs(name, value string) (id string, signed int64, by int, ok bool) {
	if len(value) != cookieLen || strings.ContainsAny(value, "\r\n") {
		return "", 0, 0, false
	}
	raw, err := base64.URLEncoding.Strict().DecodeString(value)
	if err != nil {
		return "", 0, 0, false
	}
	for by, c := range m.codecs {
		var b []byte
		// Every error means that the value is not ours. securecookie fails for one
		// other reason, a codec that was set up wrongly; see deriveKeys.
		if c.Decode(name, value, &b) != nil {
			continue
		}
		at, _, _ := strings.Cut(string(raw), "|")
		signed, err := strconv.ParseInt(at, 10, 64)
		return string(b), signed, by, err == nil && validID(string(b))
	}
	return "", 0, 0, false
}

// validID reports whether id has the form of what newID returns.
func validID(id string) bool {
	if len(id) != idLen || strings.ContainsAny(id, "\r\n") {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(id)
	return err == nil && len(b) == idBytes
}

// sign returns the cookie's value for the id.
func (m *Manager) sign(id string) (string, error) {
	return m.codecs[0].Encode(m.o.Cookie.Name, []byte(id))
}

// secure reports whether the answer to r carries a Secure cookie.
func (m *Manager) secure(r *http.Request) bool {
	return m.o.Cookie.Secure == nil || m.o.Cookie.Secure(r)
}

// nameFor returns the name under which our cookie is set.
func (m *Manager) nameFor(secure bool) string {
	if secure && m.o.Cookie.Domain == "" && m.o.Cookie.Path == "/" {
		return m.hostName
	}
	return m.o.Cookie.Name
}

// Refresh signs the cookie of the request's session with the first secret, and
// encrypts and authenticates its record with it, so that older secrets can be
// removed (Django's SECRET_KEY_FALLBACKS). Call it when Find returns an Info with
// StaleSignature, before the first byte of the answer, whose header is h. The id
// stays: requests that are under way with it go on. A session that has ended
// meanwhile is left alone.
func (m *Manager) Refresh(r *http.Request, h http.Header) error {
	s := m.Open(r)
	if _, err := s.Info(r.Context()); errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if err := m.Commit(s, h, http.StatusOK); err != nil || s.content.Session == "" {
		return err
	}
	of := m.OpenByID(s.content.Session) // whose own cookie is on another host
	if err := of.Save(r.Context()); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// CookieNames returns the names under which our cookie may travel. A proxy must
// not let them through to an upstream, or take them from one.
func (m *Manager) CookieNames() []string { return []string{m.o.Cookie.Name, m.hostName} }

// cookie returns a cookie with our attributes, which browsers forget when they
// close.
func (m *Manager) cookie(name, value string, secure bool) *http.Cookie {
	//nolint:gosec // Secure follows the visitor's connection; see Cookie.Secure
	return &http.Cookie{
		Name: name, Value: value, Path: m.o.Cookie.Path, Domain: m.o.Cookie.Domain,
		Secure: secure, HttpOnly: true, SameSite: m.o.Cookie.SameSite,
	}
}

// putCookie is the one place that writes our Set-Cookie. It replaces one with the
// same name and Domain. An answer with our cookie is for one browser, and the header
// says so to caches.
func putCookie(h http.Header, c *http.Cookie) {
	lines := h["Set-Cookie"]
	kept := make([]string, 0, len(lines)+1)
	for _, line := range lines {
		if !strings.HasPrefix(line, c.Name+"=") || domainOf(line) != strings.TrimPrefix(c.Domain, ".") {
			kept = append(kept, line)
		}
	}
	h["Set-Cookie"] = append(kept, c.String())
	h.Set("Cache-Control", "no-store")
	web.AddVary(h, "Cookie")
}

// domainOf returns the Domain of a Set-Cookie line of ours; "" when it has none.
func domainOf(line string) string {
	_, rest, _ := strings.Cut(line, "; Domain=")
	domain, _, _ := strings.Cut(rest, ";")
	return domain
}

// validCookieName reports whether name is a token (RFC 6265, 4.1.1) of 1 to 64
// bytes.
func validCookieName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", c) >= 0 {
			return false
		}
	}
	return true
}

// validCookiePath reports whether path can stand in a cookie (RFC 6265, 4.1.1):
// it begins with a slash, and holds no control character and no semicolon.
func validCookiePath(path string) bool {
	return strings.HasPrefix(path, "/") && strings.IndexFunc(path, func(c rune) bool { return c < ' ' || c >= 0x7f || c == ';' }) < 0
}
