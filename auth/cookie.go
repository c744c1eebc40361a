package auth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/web"
)

// Cookies are the small cookies of ours beside the session's: they say which
// browser this is, which form it has, what its language is. None of them says
// who somebody is. Safe for concurrent use.
type Cookies struct {
	base   string // what all names begin with
	secure func(*http.Request) bool
	keys   keys
}

// NewCookies returns the cookies whose names begin with base. secure reports
// whether the visitor's connection carries Secure cookies; nil: it does. Of the
// secrets the first signs, and all verify; there has to be one.
func NewCookies(base string, secure func(*http.Request) bool, secrets [][]byte) (*Cookies, error) {
	if len(secrets) == 0 {
		return nil, errors.New("auth: no secrets")
	}
	if base == "" {
		base = "gatehouse"
	}
	if secure == nil {
		secure = func(*http.Request) bool { return true }
	}
	return &Cookies{base: base, secure: secure, keys: newKeys(secrets)}, nil
}

// Base returns what the names of all our cookies begin with.
func (c *Cookies) Base() string { return c.base }

// The kinds of our cookies.
const (
	CookieCSRF   = "csrf"
	CookieNotice = "notice"
	cookieDevice = "device"
)

// Names returns the names of all cookies of ours but the session's: none of
// them may pass to an upstream, or come from one.
func (c *Cookies) Names() (names []string) {
	for _, kind := range []string{CookieCSRF, cookieDevice, CookieNotice, web.LanguageCookie} {
		names = append(names, c.base+"_"+kind, "__Host-"+c.base+"_"+kind)
	}
	return names
}

// Name returns the name of the cookie of that kind. They hold for one host
// only, so that each Secure one has the prefix __Host-.
func (c *Cookies) Name(r *http.Request, kind string) string {
	if c.secure(r) {
		return "__Host-" + c.base + "_" + kind
	}
	return c.base + "_" + kind
}

// b64 is how cookies and tokens are written: each value in one spelling.
var b64 = base64.RawURLEncoding.Strict()

// Read returns the decoded value of the cookie of that kind which ours accepts;
// nil when there is none. Others of its name count for nothing: they may come
// from another gate on another port of the host, or from a parent domain. Of
// two that ours accepts and that differ one was planted, so that neither
// counts; clash is true then.
func (c *Cookies) Read(r *http.Request, kind string, ours func(value []byte) bool) (value []byte, clash bool) {
	for _, sent := range r.CookiesNamed(c.Name(r, kind)) {
		b, err := b64.DecodeString(sent.Value)
		switch {
		case err != nil, !ours(b), bytes.Equal(b, value):
		case value != nil:
			return nil, true
		default:
			value = b
		}
	}
	return value, false
}

// Set puts a cookie into the answer. With age 0 it ends with the browser, and
// with a negative one it ends now.
//
// It is Lax whatever the session's is: a Strict one would be missing, and be
// replaced, when a link from elsewhere leads to the login page, which would
// spoil the forms in other tabs.
func (c *Cookies) Set(w http.ResponseWriter, r *http.Request, kind, value string, age time.Duration) {
	cookie := http.Cookie{ //nolint:gosec // G124: Secure where the visitor's connection is
		Name: c.Name(r, kind), Value: value, Path: "/", MaxAge: int(age / time.Second),
		HttpOnly: true, Secure: c.secure(r), SameSite: http.SameSiteLaxMode,
	}
	w.Header().Add("Set-Cookie", cookie.String())
	web.AddVary(w.Header(), "Cookie")
}

// Sign returns a signature of MACSize bytes over the parts. One purpose's
// signature never passes for another's.
func (c *Cookies) Sign(purpose string, parts ...[]byte) []byte { return c.keys.sign(purpose, parts...) }

// Verify reports whether sum is a signature of ours over the parts.
func (c *Cookies) Verify(sum []byte, purpose string, parts ...[]byte) bool {
	return c.keys.verify(sum, purpose, parts...)
}
