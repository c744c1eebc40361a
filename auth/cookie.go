package auth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/web"
)

// Cookies reads and sets our small cookies other than the session's: for the device,
// the CSRF nonce, the notice, the way in from the login host, and the language. None
// of them identifies a person. Safe for concurrent use.
type Cookies struct {
	base   string // begins all names
	secure func(*http.Request) bool
	keys   keys
}

// NewCookies returns the cookies whose names begin with base; "" means "gatehouse".
// secure reports whether the visitor's connection is secure, so that cookies get
// the attribute Secure; nil: always. The first of the secrets signs, and all of them
// verify, so that a secret can be replaced. It returns an error without a secret.
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

// Base returns the beginning of the names of all our cookies, without "__Host-".
func (c *Cookies) Base() string { return c.base }

// The kinds of cookies, for Name, Read and Set; web.LanguageCookie is another.
const (
	CookieCSRF   = "csrf"
	CookieNotice = "notice"
	CookieEnter  = "enter"
	cookieDevice = "device"
)

// Names returns the names of all our cookies except the session's, both with and
// without "__Host-". None of them may be sent to an upstream, or accepted from one.
func (c *Cookies) Names() (names []string) {
	for _, kind := range []string{CookieCSRF, cookieDevice, CookieNotice, CookieEnter, web.LanguageCookie} {
		names = append(names, c.base+"_"+kind, "__Host-"+c.base+"_"+kind)
	}
	return names
}

// Name returns the name of the cookie of that kind for the visitor's connection. Our
// cookies are for one host, so those that are Secure have the prefix __Host-.
func (c *Cookies) Name(r *http.Request, kind string) string {
	if c.secure(r) {
		return "__Host-" + c.base + "_" + kind
	}
	return c.base + "_" + kind
}

// b64 is the encoding of cookies. It is strict, so that each value has one spelling.
var b64 = base64.RawURLEncoding.Strict()

// Read returns the decoded value of the cookie of that kind that ours accepts, which
// usually verifies a signature; nil if there is none. Other cookies of the same name
// are ignored: they may come from another gate on another port of the host, or from
// a parent domain. If ours accepts two different values, one of them was planted;
// then Read returns nil and clash is true.
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

// Set adds a cookie to the response header. value must consist of characters that
// are allowed in cookies. age is rounded down to seconds; 0 makes a cookie that ends
// with the browser session, and a negative age of a second or more deletes it.
//
// SameSite is always Lax, whatever that of the session is. A Strict cookie would not
// be sent when a link from another site leads to the login page. It would then be
// replaced, and the forms in other tabs would become invalid.
func (c *Cookies) Set(w http.ResponseWriter, r *http.Request, kind, value string, age time.Duration) {
	cookie := http.Cookie{ //nolint:gosec // G124: Secure where the visitor's connection is
		Name: c.Name(r, kind), Value: value, Path: "/", MaxAge: int(age / time.Second),
		HttpOnly: true, Secure: c.secure(r), SameSite: http.SameSiteLaxMode,
	}
	w.Header().Add("Set-Cookie", cookie.String())
	web.AddVary(w.Header(), "Cookie")
}

// Sign returns a signature of MACSize bytes over the purpose and the parts. A
// signature for one purpose is not valid for another.
func (c *Cookies) Sign(purpose string, parts ...[]byte) []byte { return c.keys.sign(purpose, parts...) }

// Verify reports whether sum is a signature over the purpose and the parts, by any of
// the secrets. It compares in constant time.
func (c *Cookies) Verify(sum []byte, purpose string, parts ...[]byte) bool {
	return c.keys.verify(sum, purpose, parts...)
}
