package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/limit"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// With Options.LoginHost, people sign in on one host for all of them, and the hosts of
// applications have few pages of ours. The way in, for a browser without a session:
//
//	wiki.example.com  the browser gets a nonce in a cookie (CookieEnter), and is led to
//	gate.example.com  /_gate/login?next=https://wiki.example.com/page&state=..., where the
//	                  person signs in, unless they are signed in; and back to
//	wiki.example.com  /_gate/enter?code=..., which takes the code and leads to /page
//
// The code counts once, for a minute, on that host, and only in the browser whose nonce
// has the hash in state: nobody can be signed in by a link that somebody else has made.
// A browser has one nonce for a host, so that its tabs do not get in each other's way.

// codeRate limits how many codes a session gets, since each is a write to the store.
var codeRate = limit.Rate{Count: 300, Per: 10 * time.Minute}

// hostPages are the pages that the hosts of applications have. All others are on the
// login host alone.
var hostPages = map[string]bool{
	"enter": true, "logout": true, "session": true, "language": true,
	"static/style.css": true, "static/logo.svg": true, "static/favicon.svg": true,
}

// openEnter returns the end of the way in.
func openEnter(p *Portal) (page, error) { return page{get: p.enter}, nil }

// onAppHost reports whether the request is for the host of an application while people
// sign in on another one.
func (p *Portal) onAppHost(r *http.Request) bool {
	return p.o.LoginHost != "" && hostName(r) != p.o.LoginHost
}

// hostName returns the name of the host that the request is for; "" if it is
// malformed.
func hostName(r *http.Request) string {
	info := web.From(r.Context())
	h, err := httpfield.ParseHost(info.Host, info.Scheme)
	if err != nil {
		return ""
	}
	return h.Name
}

// port returns the port that the visitor's browser connects to, with a colon in front;
// "" for that of the scheme. All hosts of a gate are reached at the same one.
func port(r *http.Request) string {
	info := web.From(r.Context())
	h, err := httpfield.ParseHost(info.Host, info.Scheme)
	if err != nil {
		return ""
	}
	if h.Port == "" && info.Port != "" {
		if h, err = httpfield.ParseHost(h.Name+":"+info.Port, info.Scheme); err != nil {
			return ""
		}
	}
	if h.Port == "" {
		return ""
	}
	return ":" + h.Port
}

// loginOrigin returns the origin of the login host, as this visitor reaches it.
func (p *Portal) loginOrigin(r *http.Request) string {
	return web.From(r.Context()).Scheme + "://" + p.o.LoginHost + port(r)
}

// own serves the paths outside of prefix on the login host, where no application is.
func (p *Portal) own(w http.ResponseWriter, r *http.Request) error {
	if r.URL.EscapedPath() == "/" {
		return page{get: toAccount}.serve(w, r)
	}
	return web.Refuse(http.StatusNotFound, "")
}

// elsewhere answers a request on the host of an application for a page that is on the
// login host: it leads there. The login page is reached by the way in, so that the
// person comes back.
func (p *Portal) elsewhere(w http.ResponseWriter, r *http.Request, name string) error {
	if name == "login" {
		next, _ := p.nextOf(r)
		return p.leave(w, r, next)
	}
	return seeOther(w, r, p.loginOrigin(r)+prefix+name)
}

// leave leads a visitor of an application's host to the login page, from where they
// come back to next, a safe path of this host.
func (p *Portal) leave(w http.ResponseWriter, r *http.Request, next string) error {
	info := web.From(r.Context())
	if !info.Secure() && !httpfield.IsLocalhost(p.o.LoginHost) { // a way in over http would end without a cookie
		if r.Header.Get("Sec-Fetch-Mode") != "" { // browsers send it over https alone: the same answer would come again and again
			return web.Fail(http.StatusBadRequest, msgAddress, errors.New("the browser is on https, and the gate does not know: the proxy in front must send X-Forwarded-Proto, and stand in trusted_proxies"))
		}
		return seeOther(w, r, "https://"+hostName(r)+next)
	}
	nonce := p.enterNonce(r)
	if nonce == nil {
		nonce = p.setEnterNonce(w, r)
	}
	state := stateOf(nonce)
	if id, kept := strings.CutPrefix(p.shortNext(w, r, next), keptPrefix); kept {
		state, next = state+"."+id, "/" // it stays here, and the way back names it
	}
	back := info.Scheme + "://" + hostName(r) + port(r) + next
	return seeOther(w, r, p.loginOrigin(r)+loginURL(back)+stateQuery(state))
}

// enterNonce returns the nonce of the visitor's cookie for this host; nil if there is
// none with our signature, or there are two that differ.
func (p *Portal) enterNonce(r *http.Request) []byte {
	value, _ := p.o.Cookies.Read(r, auth.CookieEnter, func(b []byte) bool {
		return len(b) == tokenLen && p.o.Cookies.Verify(b[nonceLen:], "enter cookie", b[:nonceLen], []byte(hostName(r)))
	})
	if value == nil {
		return nil
	}
	return value[:nonceLen]
}

// setEnterNonce sets the cookie with a new nonce, and returns the nonce.
func (p *Portal) setEnterNonce(w http.ResponseWriter, r *http.Request) []byte {
	nonce := make([]byte, nonceLen)
	_, _ = rand.Read(nonce) // never fails: the process ends instead
	sum := p.o.Cookies.Sign("enter cookie", nonce, []byte(hostName(r)))
	p.o.Cookies.Set(w, r, auth.CookieEnter, b64.EncodeToString(append(nonce, sum...)), 0)
	return nonce[:nonceLen]
}

// stateOf returns what the other host may know of a nonce; "" for nil.
func stateOf(nonce []byte) string {
	if nonce == nil {
		return ""
	}
	sum := sha256.Sum256(append([]byte("gatehouse enter state "), nonce...))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// stateOfQuery returns the state that a request for the login page has brought; "" if
// there is none, or it is none of ours by its form.
func stateOfQuery(r *http.Request) string { return stateIn(r.URL.Query()) }

// stateIn is stateOfQuery for a query.
func stateIn(query url.Values) string {
	state := query.Get("state")
	if len(state) > 100 || strings.Trim(state, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return ""
	}
	return state
}

// stateQuery returns the state as a further parameter of a query; "" for "".
func stateQuery(state string) string {
	if state == "" {
		return ""
	}
	return "&state=" + state
}

// safe is SafeNext; on the login host, next may also be an address of an application:
// its scheme and port are those of the request, its host is that of a route, and what
// follows is a safe path.
func (p *Portal) safe(r *http.Request, next string) (string, bool) {
	scheme, rest, absolute := strings.Cut(next, "://")
	if !absolute || p.o.LoginHost == "" || p.onAppHost(r) || scheme != web.From(r.Context()).Scheme {
		return SafeNext(next)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		rest, end = rest+"/", len(rest)
	}
	authority, path := rest[:end], rest[end:]
	if path[0] != '/' {
		path = "/" + path
	}
	h, err := httpfield.ParseHost(authority, scheme)
	if err != nil || h.Name == p.o.LoginHost || !p.o.Serves(h.Name) {
		return "/", false
	}
	if strings.TrimPrefix(port(r), ":") != h.Port {
		return "/", false
	}
	path, ok := SafeNext(path)
	if !ok {
		return "/", false
	}
	return h.Origin(scheme) + path, true
}

// isAway reports whether next, which is safe, leads to another host.
func isAway(next string) bool { return next[0] != '/' }

// onward returns where to go with a new session: next, or for another host the login
// page once more, which makes a code now.
func onward(next, state string) string {
	if isAway(next) {
		return loginURL(next) + stateQuery(state)
	}
	return next
}

// sendAway leads somebody who is signed in on the login host, id, to next on another
// one, with a code. Without a state, as by a bookmark, no code would count: the other
// host makes a way in with one.
func (p *Portal) sendAway(w http.ResponseWriter, r *http.Request, id *auth.Identity, next string) error {
	if stateOfQuery(r) == "" {
		return seeOther(w, r, next)
	}
	if ok, wait := p.keeping.Take(limit.Bucket{Key: limit.KeyOf("code", id.Session.Key), Rate: codeRate}); !ok {
		return web.Later(http.StatusTooManyRequests, "", wait, errors.New("too many codes for one session"))
	}
	u, err := url.Parse(next)
	if err != nil {
		return couldNot("read the way back", err)
	}
	origin := u.Scheme + "://" + u.Host
	state, kept, _ := strings.Cut(stateOfQuery(r), ".")
	back := strings.TrimPrefix(next, origin)
	if kept != "" {
		_, fragment, _ := strings.Cut(back, "#")
		back = keptPrefix + kept + "#" + fragment
	}
	code, err := p.o.Sessions.NewCode(r, u.Hostname(), state, back)
	switch {
	case errors.Is(err, sessions.ErrNotFound): // it has ended at this moment
		return seeOther(w, r, loginURL(next)+stateQuery(stateOfQuery(r)))
	case err != nil:
		return couldNot("make a code for "+u.Hostname(), err)
	}
	redirectAs(w, r, http.StatusFound, origin+prefix+"enter?code="+code, "no-referrer")
	return nil
}

// enter takes the code with which a visitor comes from the login host. One that does
// not count changes nothing; whoever is signed in here goes on all the same. A code for
// another nonce may be this person's, from a page that was open for long or a bookmark:
// the next way in has the right one. A browser without any nonce gets one, and has to
// bring it before it is led on, so that one that keeps no cookies is not led in circles.
func (p *Portal) enter(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		e := web.Refuse(http.StatusMethodNotAllowed, "") // a HEAD must not use the code up
		e.Header = http.Header{"Allow": {http.MethodGet}}
		return e
	}
	id, err := p.person(r)
	if err != nil {
		return err
	}
	nonce := p.enterNonce(r)
	if !r.URL.Query().Has("code") {
		if id == nil && nonce == nil {
			return p.refused(r, web.Fail(http.StatusBadRequest, msgCookies, fmt.Errorf("the browser has been given a cookie %s, and does not bring it", p.o.Cookies.Name(r, auth.CookieEnter))))
		}
		next, _ := p.nextOf(r)
		return seeOther(w, r, next)
	}
	keptHere := p.keptList(r)
	entered, next, err := p.o.Sessions.Enter(r, w.Header(), r.URL.Query().Get("code"), stateOf(nonce), keptKey)
	if resolved, ok := resolveNext(keptHere, next); ok {
		next, _ = SafeNext(resolved)
	} else {
		next = "/"
	}
	switch {
	case err == nil:
		p.o.Cookies.Set(w, r, auth.CookieEnter, "", -time.Second)
		about := web.From(r.Context())
		about.User, about.Session = entered.User, entered.Handle
		p.event(r, audit.SessionEntered, slog.String("user", entered.User), slog.String("session", entered.Handle), slog.String("host", entered.Host))
	case !errors.Is(err, sessions.ErrNotFound):
		return couldNot("enter by a code", err)
	case errors.Is(err, sessions.ErrOtherBrowser):
		p.noteForged(r, err)
		if id == nil && nonce == nil {
			p.setEnterNonce(w, r)
			next = withNext("enter", next)
		}
	case id != nil:
		next = "/"
	default:
		return p.refused(r, web.Fail(http.StatusBadRequest, msgStale, err))
	}
	redirectAs(w, r, http.StatusFound, next, "no-referrer")
	return nil
}
