package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"gatehouse/internal/httpfield"
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

// csrfNonce returns what is in the visitor's CSRF cookie; nil when there is
// none of ours. clash: there are two that differ, so that neither counts.
func (a *Auth) csrfNonce(r *http.Request) (nonce []byte, clash bool) {
	value, clash := a.cookie(r, "csrf", func(b []byte) bool {
		return len(b) == tokenLen && a.keys.verify(b[nonceLen:], "csrf cookie", b[:nonceLen])
	})
	if value == nil {
		return nil, clash
	}
	return value[:nonceLen], false
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
	nonce, _ := a.csrfNonce(r)
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
	own, _ := a.csrfNonce(r)
	return ok && own != nil && subtle.ConstantTimeCompare(nonce, own) == 1
}

// The device cookie says that somebody has signed in to an account in this
// browser before. It opens nothing: it only keeps guesses from elsewhere from
// locking its owner out.
const deviceAge = 365 * 24 * time.Hour

const deviceLen = 16 + 8 // an id, and when it was given

// device returns the id of the browser, if it has a device cookie for the
// account; else "".
func (a *Auth) device(r *http.Request, name string) string {
	b, _ := a.cookie(r, "device", func(b []byte) bool {
		return len(b) == deviceLen+macLen && a.keys.verify(b[deviceLen:], "device", b[:deviceLen], []byte(name))
	})
	if b == nil {
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

// cookie returns the value of the cookie of the kind that ours accepts,
// decoded; nil when there is none. Others of its name count for nothing: they
// may come from another gate on another port of the host, or on a parent
// domain. Of two that ours accepts and that differ, one was planted, so that
// neither counts: clash.
func (a *Auth) cookie(r *http.Request, kind string, ours func(value []byte) bool) (value []byte, clash bool) {
	for _, c := range r.CookiesNamed(a.cookieName(r, kind)) {
		b, err := b64.DecodeString(c.Value)
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

// setCookie sets a cookie; age 0 is until the browser ends, a negative one takes
// it away. It is Lax whatever the session's is: a Strict one would be missing,
// and be replaced, when a link from elsewhere leads to the login page, which
// would spoil the forms in other tabs.
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

// site is the origin of the request as the visitor sees it.
func site(r *http.Request) httpfield.Origin {
	info := web.From(r.Context())
	return httpfield.Origin{Scheme: info.Scheme, Host: info.Host, Port: info.Port}
}
