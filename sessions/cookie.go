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

	// An id is 256 random bits, in the cookie and in Session.ID as base64url.
	idBytes = 32
	idLen   = 43

	// cookieLen is the length of every value that we write: securecookie's
	// base64 of time, "|", base64 of the id, "|" and HMAC.
	cookieLen = 140

	// provedMax bounds what is remembered of cookies that were verified.
	provedMax = 64 << 10
)

// A proof is what securecookie has proved of a cookie's value.
type proof struct {
	key   string
	ring  *ring // authenticates the session's record
	until int64 // seconds since 1970: the signature counts until then, this second included
	old   bool  // made with a secret that is no longer the first
}

// newID makes the id of a new session.
func newID() string {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// keyOf gives the key under which the store has the session with the id.
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

// findCookie gives the value of the cookie with the name, and how many there
// are. Names are compared exactly: a cookie's name has letter case, and no
// quotes.
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

// verify checks the form of a cookie's value, then its signature, and gives
// the id, the second in which it was signed, and which of the secrets has
// signed it. There is one way to write a
// value: base64 that a decoder would merely tolerate is refused, so that no
// two values open the same session.
func (m *Manager) verify(value string) (id string, signed int64, by int, ok bool) {
	if len(value) != cookieLen || strings.ContainsAny(value, "\r\n") {
		return "", 0, 0, false
	}
	raw, err := base64.URLEncoding.Strict().DecodeString(value)
	if err != nil {
		return "", 0, 0, false
	}
	for by, c := range m.codecs {
		var b []byte
		// Every error means that the value is not ours: what else may fail in
		// securecookie is a codec that was set up wrongly, see deriveKeys.
		if c.Decode(m.o.Cookie.Name, value, &b) != nil {
			continue
		}
		at, _, _ := strings.Cut(string(raw), "|")
		signed, err := strconv.ParseInt(at, 10, 64)
		return string(b), signed, by, err == nil && validID(string(b))
	}
	return "", 0, 0, false
}

// validID says whether id has the form of what newID makes.
func validID(id string) bool {
	if len(id) != idLen || strings.ContainsAny(id, "\r\n") {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(id)
	return err == nil && len(b) == idBytes
}

// sign gives the cookie's value for the id.
func (m *Manager) sign(id string) (string, error) {
	return m.codecs[0].Encode(m.o.Cookie.Name, []byte(id))
}

func (m *Manager) secure(r *http.Request) bool {
	return m.o.Cookie.Secure == nil || m.o.Cookie.Secure(r)
}

// nameFor is the name under which a cookie of ours is set.
func (m *Manager) nameFor(secure bool) string {
	if secure && m.o.Cookie.Domain == "" && m.o.Cookie.Path == "/" {
		return m.hostName
	}
	return m.o.Cookie.Name
}

// Refresh gives the session of a request whose Info has Old a cookie that the
// first secret has signed, and seals its data with it, so that the older
// secrets can go (Django's SECRET_KEY_FALLBACKS). The id stays: requests that
// are under way with it go on. Call it before the first byte of the answer. A
// session that has ended meanwhile is left alone.
func (m *Manager) Refresh(r *http.Request, h http.Header) error {
	s := m.Open(r)
	if _, err := s.Info(r.Context()); errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	return m.Commit(s, h, http.StatusOK)
}

// CookieNames gives the names under which our cookie may travel: none of them
// may pass to an upstream, or come from one.
func (m *Manager) CookieNames() []string { return []string{m.o.Cookie.Name, m.hostName} }

// cookie gives the cookie's name, value and attributes: those of a browser
// that forgets it at its end.
func (m *Manager) cookie(name, value string, secure bool) *http.Cookie {
	//nolint:gosec // Secure follows the visitor's connection; see Cookie.Secure
	return &http.Cookie{
		Name: name, Value: value, Path: m.o.Cookie.Path, Domain: m.o.Cookie.Domain,
		Secure: secure, HttpOnly: true, SameSite: m.o.Cookie.SameSite,
	}
}

// putCookie is the one place that writes our Set-Cookie, in place of one for
// the same name and Domain. Such an answer depends on who asks and belongs to
// nobody else, so it says so to caches.
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

// validCookieName says whether name is a token (RFC 6265, 4.1.1) of 1 to 64
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

// validCookiePath says whether path can stand in a cookie (RFC 6265, 4.1.1):
// it begins with a slash, and holds no control character and no semicolon.
func validCookiePath(path string) bool {
	return strings.HasPrefix(path, "/") && strings.IndexFunc(path, func(c rune) bool { return c < ' ' || c >= 0x7f || c == ';' }) < 0
}
