package portal

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"

	"gatehouse/auth"
)

// The CSRF check: a signed cookie has a random nonce, and each form has a token,
// which is the nonce with a signature over the nonce and the session that the form
// was made for. The token is masked with new random bytes each time, as in Django,
// against BREACH. Every form in every tab thus has a token of its own, and all
// stay valid as long as the cookie and the session do.
//
// A form of another site has no token. A form made before a login is bound to no
// session and to the previous nonce: it is not valid any more, but recognized as
// ours.
const (
	nonceLen = 16
	tokenLen = nonceLen + auth.MACSize
)

// b64 is the encoding of tokens. It is strict, so that each has one spelling.
var b64 = base64.RawURLEncoding.Strict()

// csrfNonce returns the nonce of the visitor's CSRF cookie; nil if there is none
// with our signature. clash reports that there are two valid cookies that differ:
// one was planted, so neither is used.
func (p *Portal) csrfNonce(r *http.Request) (nonce []byte, clash bool) {
	value, clash := p.o.Cookies.Read(r, auth.CookieCSRF, func(b []byte) bool {
		return len(b) == tokenLen && p.o.Cookies.Verify(b[nonceLen:], "csrf cookie", b[:nonceLen])
	})
	if value == nil {
		return nil, clash
	}
	return value[:nonceLen], false
}

// setCSRF sets a CSRF cookie with a new nonce and returns the nonce. Forms made
// before become invalid, as they must at a login.
func (p *Portal) setCSRF(w http.ResponseWriter, r *http.Request) []byte {
	n := make([]byte, nonceLen)
	_, _ = rand.Read(n) // never fails: the process ends instead
	p.o.Cookies.Set(w, r, auth.CookieCSRF, b64.EncodeToString(append(n, p.o.Cookies.Sign("csrf cookie", n)...)), 0)
	return n[:nonceLen]
}

// formToken returns the token for a form, and sets the CSRF cookie if the visitor
// has none. session is the key of the visitor's session; "" if nobody is signed
// in.
func (p *Portal) formToken(w http.ResponseWriter, r *http.Request, session string) string {
	nonce, _ := p.csrfNonce(r)
	if nonce == nil {
		nonce = p.setCSRF(w, r)
	}
	return p.token(nonce, session)
}

// token returns a masked token: random bytes, and the plain token XORed with them.
func (p *Portal) token(nonce []byte, session string) string {
	plain := append(append([]byte{}, nonce...), p.o.Cookies.Sign("csrf form", nonce, []byte(session))...)
	masked := make([]byte, 2*tokenLen)
	_, _ = rand.Read(masked[:tokenLen]) // never fails: the process ends instead
	subtle.XORBytes(masked[tokenLen:], masked[:tokenLen], plain)
	return b64.EncodeToString(masked)
}

// openToken unmasks a token. It returns its nonce, and reports whether we made it
// for the session. The nonce still has to be compared with the visitor's; see
// validToken.
func (p *Portal) openToken(token, session string) (nonce []byte, ok bool) {
	b, err := b64.DecodeString(token)
	if err != nil || len(b) != 2*tokenLen {
		return nil, false
	}
	plain := make([]byte, tokenLen)
	subtle.XORBytes(plain, b[:tokenLen], b[tokenLen:])
	return plain[:nonceLen], p.o.Cookies.Verify(plain[nonceLen:], "csrf form", plain[:nonceLen], []byte(session))
}

// validToken reports whether we made the form for this session and for the browser
// that sends it.
func (p *Portal) validToken(r *http.Request, token, session string) bool {
	nonce, ok := p.openToken(token, session)
	own, _ := p.csrfNonce(r)
	return ok && own != nil && subtle.ConstantTimeCompare(nonce, own) == 1
}

// tokenWorth is the result of loginToken.
type tokenWorth int

const (
	tokenBad   tokenWorth = iota // not made by us, or for another browser or session
	tokenGood                    // made for this browser and session
	tokenSpent                   // made by us, but somebody has signed in here since
)

// loginToken checks the token of a login form. Usually it was made when nobody was
// signed in. If somebody is now, because they signed in from another tab, sending the
// form is no attack, and there is nothing left to do.
func (p *Portal) loginToken(r *http.Request, token, session string) tokenWorth {
	if p.validToken(r, token, session) {
		return tokenGood
	}
	if _, ours := p.openToken(token, ""); ours && session != "" {
		return tokenSpent
	}
	return tokenBad
}
