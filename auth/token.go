package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/web"
)

// keys sign what we hand out and want to know again: the first signs, all
// verify. Each use has a purpose, so that one thing never passes for another.
type keys [][]byte

// newKeys derives keys of our own, so that ours and the sessions' differ.
func newKeys(secrets [][]byte) keys {
	var list keys
	for _, s := range secrets {
		m := hmac.New(sha256.New, s)
		m.Write([]byte("gatehouse auth cookies and forms"))
		list = append(list, m.Sum(nil))
	}
	return list
}

const macLen = 16

// mac signs the parts; their borders count.
func mac(key []byte, purpose string, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range append([][]byte{[]byte(purpose)}, parts...) {
		m.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p)))) //nolint:gosec // G115: a few hundred bytes
		m.Write(p)
	}
	return m.Sum(nil)[:macLen]
}

func (k keys) sign(purpose string, parts ...[]byte) []byte { return mac(k[0], purpose, parts...) }

func (k keys) verify(sum []byte, purpose string, parts ...[]byte) bool {
	for _, key := range k {
		if hmac.Equal(sum, mac(key, purpose, parts...)) {
			return true
		}
	}
	return false
}

// The CSRF check: a random nonce in a signed cookie, and in each form a
// token of the nonce, the session that the form was made for, and a
// signature over both. The token is masked anew each time (Django's way,
// against BREACH), so every form in every tab has its own, and all are good
// for as long as the cookie and the session stay.
//
// A form of another site has no token. One that was made before a login is
// bound to nobody's session and to the nonce from before: worth nothing, but
// known to be ours.
const (
	nonceLen = 16
	tokenLen = nonceLen + macLen
)

var b64 = base64.RawURLEncoding.Strict()

func newNonce() []byte {
	n := make([]byte, nonceLen)
	_, _ = rand.Read(n) // never fails: the process ends instead
	return n
}

// csrfNonce gives what is in the visitor's CSRF cookie; nil when there is
// none, or two, or one that is not ours.
func (a *Auth) csrfNonce(r *http.Request) []byte {
	b, err := b64.DecodeString(a.cookie(r, "csrf"))
	if err != nil || len(b) != tokenLen || !a.keys.verify(b[nonceLen:], "csrf cookie", b[:nonceLen]) {
		return nil
	}
	return b[:nonceLen]
}

// setCSRF gives the visitor a new CSRF cookie, and its nonce.
func (a *Auth) setCSRF(w http.ResponseWriter, r *http.Request) []byte {
	n := newNonce()
	a.setCookie(w, r, "csrf", b64.EncodeToString(append(n, a.keys.sign("csrf cookie", n)...)), 0)
	return n[:nonceLen]
}

// formToken makes the token of a form, and the cookie that it needs.
// session is the key of the visitor's session; "" when nobody is signed in.
func (a *Auth) formToken(w http.ResponseWriter, r *http.Request, session string) string {
	nonce := a.csrfNonce(r)
	if nonce == nil {
		nonce = a.setCSRF(w, r)
	}
	return a.token(nonce, session)
}

func (a *Auth) token(nonce []byte, session string) string {
	plain := append(append([]byte{}, nonce...), a.keys.sign("csrf form", nonce, []byte(session))...)
	masked := make([]byte, 2*tokenLen)
	_, _ = rand.Read(masked[:tokenLen]) // never fails: the process ends instead
	subtle.XORBytes(masked[tokenLen:], masked[:tokenLen], plain)
	return b64.EncodeToString(masked)
}

// openToken gives the nonce of a token that we made for the session.
func (a *Auth) openToken(token, session string) (nonce []byte, ok bool) {
	b, err := b64.DecodeString(token)
	if err != nil || len(b) != 2*tokenLen {
		return nil, false
	}
	plain := make([]byte, tokenLen)
	subtle.XORBytes(plain, b[:tokenLen], b[tokenLen:])
	return plain[:nonceLen], a.keys.verify(plain[nonceLen:], "csrf form", plain[:nonceLen], []byte(session))
}

// validToken says whether the form was made by us, for this session, and for
// the browser that sends it.
func (a *Auth) validToken(r *http.Request, token, session string) bool {
	nonce, ok := a.openToken(token, session)
	own := a.csrfNonce(r)
	return ok && own != nil && subtle.ConstantTimeCompare(nonce, own) == 1
}

// The device cookie says that somebody has signed in to an account in this
// browser before. It opens nothing: it only keeps guesses from elsewhere from
// locking its owner out.
const deviceAge = 365 * 24 * time.Hour

const deviceLen = 16 + 8 // an id, and when it was given

// device gives the id of the browser, if it has a device cookie for the
// account; else "".
func (a *Auth) device(r *http.Request, name string) string {
	b, err := b64.DecodeString(a.cookie(r, "device"))
	if err != nil || len(b) != deviceLen+macLen || !a.keys.verify(b[deviceLen:], "device", b[:deviceLen], []byte(name)) {
		return ""
	}
	given := time.Unix(int64(binary.BigEndian.Uint64(b[16:deviceLen])), 0) //nolint:gosec // G115: we signed it
	if age := time.Since(given); age > deviceAge || age < -time.Hour {
		return ""
	}
	return string(b[:16])
}

// setDevice marks the browser as one that has signed in to the account. One
// that is marked keeps its id: what was counted for it still counts.
func (a *Auth) setDevice(w http.ResponseWriter, r *http.Request, name string) {
	id := []byte(a.device(r, name))
	if len(id) == 0 {
		id = newNonce()
	}
	b := binary.BigEndian.AppendUint64(id, uint64(time.Now().Unix())) //nolint:gosec // G115: after 1970
	a.setCookie(w, r, "device", b64.EncodeToString(append(b, a.keys.sign("device", b, []byte(name))...)), deviceAge)
}

// cookieName is the name of a cookie of ours beside the session's. They hold
// for one host only, so that each Secure one has the prefix __Host-.
func (a *Auth) cookieName(r *http.Request, kind string) string {
	if a.secure(r) {
		return "__Host-" + a.cookieBase + "_" + kind
	}
	return a.cookieBase + "_" + kind
}

// cookie gives the value of the cookie; "" when there is none, or two: then
// one of them was planted.
func (a *Auth) cookie(r *http.Request, kind string) string {
	list := r.CookiesNamed(a.cookieName(r, kind))
	if len(list) != 1 {
		return ""
	}
	return list[0].Value
}

// setCookie sets a cookie; age 0 is until the browser ends. It is Lax
// whatever the session's is: a Strict one would be missing, and be replaced,
// when a link from elsewhere leads to the login page, which would spoil the
// forms in other tabs.
func (a *Auth) setCookie(w http.ResponseWriter, r *http.Request, kind, value string, age time.Duration) {
	c := http.Cookie{ //nolint:gosec // G124: Secure where the visitor's connection is
		Name: a.cookieName(r, kind), Value: value, Path: "/", MaxAge: int(age / time.Second),
		HttpOnly: true, Secure: a.secure(r), SameSite: http.SameSiteLaxMode,
	}
	w.Header().Add("Set-Cookie", c.String())
	web.AddVary(w.Header(), "Cookie")
}

func (a *Auth) secure(r *http.Request) bool {
	return a.o.Cookie.Secure == nil || a.o.Cookie.Secure(r)
}

// fromHere says whether the request was sent by a page of ours, as far as
// the browser tells: by Sec-Fetch-Site, and by Origin or Referer, each of
// which must be right when it is there. A client that tells nothing is no
// browser that was led here from another site: those tell the Origin of a
// POST. (net/http.CrossOriginProtection does much the same, but knows no
// trusted proxies.)
func fromHere(r *http.Request) bool {
	info := web.From(r.Context())
	sites := r.Header.Values("Sec-Fetch-Site")
	for _, site := range sites {
		if site != "same-origin" && site != "none" {
			return false
		}
	}
	claims := r.Header.Values("Origin")
	if len(claims) == 0 {
		claims = r.Header.Values("Referer")
	}
	for _, claim := range claims {
		u, err := url.Parse(claim)
		if err != nil || !sameHost(u, info) {
			return false
		}
		// Fetch metadata has compared schemes already, and knows them also
		// where a proxy that is not trusted ends TLS in front of us.
		if len(sites) == 0 && !strings.EqualFold(u.Scheme, info.Scheme) {
			return false
		}
	}
	return true
}
