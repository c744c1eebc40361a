package portal

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"

	"gatehouse/auth"
)

// The CSRF check: a random nonce in a signed cookie, and in each form a token
// of the nonce and a signature over the nonce and the session that the form was
// made for. The token is masked anew each time (as Django does, against
// BREACH), so that every form in every tab has its own, and all are good for as
// long as the cookie and the session stay.
//
// A form of another site has no token. One that was made before a login is
// bound to nobody's session and to the nonce from before: it is worth nothing,
// but known to be ours.
const (
	nonceLen = 16
	tokenLen = nonceLen + auth.MACSize
)

// b64 is how tokens are written: each in one spelling.
var b64 = base64.RawURLEncoding.Strict()

// csrfNonce returns what is in the visitor's CSRF cookie; nil when there is
// none of ours. clash: there are two that differ, so that neither counts.
func (p *Portal) csrfNonce(r *http.Request) (nonce []byte, clash bool) {
	value, clash := p.o.Cookies.Read(r, auth.CookieCSRF, func(b []byte) bool {
		return len(b) == tokenLen && p.o.Cookies.Verify(b[nonceLen:], "csrf cookie", b[:nonceLen])
	})
	if value == nil {
		return nil, clash
	}
	return value[:nonceLen], false
}

// setCSRF gives the visitor a new CSRF cookie, and returns its nonce.
func (p *Portal) setCSRF(w http.ResponseWriter, r *http.Request) []byte {
	n := make([]byte, nonceLen)
	_, _ = rand.Read(n) // never fails: the process ends instead
	p.o.Cookies.Set(w, r, auth.CookieCSRF, b64.EncodeToString(append(n, p.o.Cookies.Sign("csrf cookie", n)...)), 0)
	return n[:nonceLen]
}

// formToken returns the token of a form, and sets the cookie that it needs.
// session is the key of the visitor's session; "" when nobody is signed in.
func (p *Portal) formToken(w http.ResponseWriter, r *http.Request, session string) string {
	nonce, _ := p.csrfNonce(r)
	if nonce == nil {
		nonce = p.setCSRF(w, r)
	}
	return p.token(nonce, session)
}

func (p *Portal) token(nonce []byte, session string) string {
	plain := append(append([]byte{}, nonce...), p.o.Cookies.Sign("csrf form", nonce, []byte(session))...)
	masked := make([]byte, 2*tokenLen)
	_, _ = rand.Read(masked[:tokenLen]) // never fails: the process ends instead
	subtle.XORBytes(masked[tokenLen:], masked[:tokenLen], plain)
	return b64.EncodeToString(masked)
}

// openToken returns the nonce of a token, and whether we made it for the
// session.
func (p *Portal) openToken(token, session string) (nonce []byte, ok bool) {
	b, err := b64.DecodeString(token)
	if err != nil || len(b) != 2*tokenLen {
		return nil, false
	}
	plain := make([]byte, tokenLen)
	subtle.XORBytes(plain, b[:tokenLen], b[tokenLen:])
	return plain[:nonceLen], p.o.Cookies.Verify(plain[nonceLen:], "csrf form", plain[:nonceLen], []byte(session))
}

// validToken reports whether the form was made by us, for this session, and for
// the browser that sends it.
func (p *Portal) validToken(r *http.Request, token, session string) bool {
	nonce, ok := p.openToken(token, session)
	own, _ := p.csrfNonce(r)
	return ok && own != nil && subtle.ConstantTimeCompare(nonce, own) == 1
}

// What a login form's token is worth.
type tokenWorth int

const (
	tokenBad   tokenWorth = iota
	tokenGood             // made for this browser, and as it is now
	tokenSpent            // made by us, but somebody has signed in here since
)

// loginToken judges the token of a login form. Most were made when nobody was
// signed in; when somebody is now, in another tab, then sending it is no
// attack, and there is nothing left to do.
func (p *Portal) loginToken(r *http.Request, token, session string) tokenWorth {
	if p.validToken(r, token, session) {
		return tokenGood
	}
	if _, ours := p.openToken(token, ""); ours && session != "" {
		return tokenSpent
	}
	return tokenBad
}
