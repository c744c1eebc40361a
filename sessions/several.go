package sessions

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// ErrTwoSessions means that the request brings our cookies of two different sessions
// that both live. One of them was planted, for instance by another host of the
// domain, and it is not known which: neither counts. It wraps ErrNotFound.
var ErrTwoSessions = fmt.Errorf("two cookies for different sessions that live: %w", ErrNotFound)

// maxCookies is how many of our cookies, of different sessions, are looked up for one
// request.
const maxCookies = 8

// names returns the names under which our cookie counts: the one under which it is
// set, and, where there is a Domain, also the one with the prefix __Host-, so that
// nobody is signed out when a Domain is added. The reverse would be unsafe: a name
// that any host of the domain can set would count where only we can set one.
func (m *Manager) names(secure bool) (name, other string) {
	name = m.nameFor(secure)
	if secure && name != m.hostName && m.o.Cookie.Path == "/" {
		return name, m.hostName
	}
	return name, ""
}

// find returns the value of the request's cookie that counts, and what is known of
// it. A browser may send several under our name: one from before the Domain was
// changed, or one of another gate, on a parent domain or on another port of the
// host. Those that we did not sign, and those of sessions that have ended, do not
// count.
//
// It returns ErrNotFound if none counts, and ErrTwoSessions if two of different
// sessions do. After any other error it is not known. Only a request with several
// cookies asks the store.
func (m *Manager) find(r *http.Request, now time.Time) (value string, p proof, err error) {
	lines := r.Header["Cookie"]
	name, other := m.names(m.secure(r))
	value, n := findCookie(lines, name)
	if other != "" {
		v, more := findCookie(lines, other)
		if n == 0 {
			value = v
		}
		n += more
	}
	if n > 1 {
		return m.choose(r, now, name, other)
	}
	p, ok := m.prove(value, now)
	if !ok {
		return "", proof{}, ErrNotFound
	}
	return value, p, nil
}

// choose is find for a request with several cookies of our names.
func (m *Manager) choose(r *http.Request, now time.Time, names ...string) (value string, p proof, err error) {
	type candidate struct {
		value string
		proof
	}
	var list []candidate
	for _, v := range allCookies(r.Header["Cookie"], names...) {
		p, ok := m.prove(v, now)
		if !ok || slices.ContainsFunc(list, func(c candidate) bool { return c.key == p.key }) {
			continue
		}
		if list = append(list, candidate{v, p}); len(list) > maxCookies {
			return "", proof{}, ErrTwoSessions
		}
	}
	if len(list) == 0 {
		return "", proof{}, ErrNotFound
	}
	found := list[:0:0]
	for _, c := range list {
		if len(list) == 1 {
			return c.value, c.proof, nil
		}
		switch _, err := m.lookupFor(r, c.proof, now); {
		case err == nil:
			found = append(found, c)
		case !errors.Is(err, ErrNotFound):
			return "", proof{}, err
		}
	}
	switch len(found) {
	case 0:
		return list[0].value, list[0].proof, nil // all have ended: any will do
	case 1:
		return found[0].value, found[0].proof, nil
	default:
		return "", proof{}, ErrTwoSessions
	}
}

// allCookies returns the values of all cookies with one of the names.
func allCookies(lines []string, names ...string) (values []string) {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			name, value, ok := strings.Cut(httpfield.TrimOWS(part), "=")
			if name = httpfield.TrimOWS(name); ok && name != "" && slices.Contains(names, name) {
				values = append(values, httpfield.TrimOWS(value))
			}
		}
	}
	return values
}

// HasCookie reports whether the request brings a cookie that we have signed, of a
// session that lives or one that has ended. It asks no store.
func (m *Manager) HasCookie(r *http.Request) bool {
	now := m.now()
	name, other := m.names(m.secure(r))
	return slices.ContainsFunc(allCookies(r.Header["Cookie"], name, other), func(v string) bool {
		_, ok := m.prove(v, now)
		return ok
	})
}

// ClearCookies puts lines of Set-Cookie into h that delete the session's cookies
// which the request has brought and we have signed. Commit does this by itself after
// a logout.
func (m *Manager) ClearCookies(r *http.Request, h http.Header) {
	m.sentBy(r).expire(m, h, false)
}

// sent is what has to be known of a request to delete its cookies later.
type sent struct {
	lines  []string // of Cookie
	host   string   // that the client has asked for, without a port; "" when unknown
	secure bool
}

func (m *Manager) sentBy(r *http.Request) sent {
	host := web.From(r.Context()).Host
	if host == "" {
		host = r.Host
	}
	return sent{r.Header["Cookie"], (&url.URL{Host: host}).Hostname(), m.secure(r)}
}

// expire deletes our cookies, with and without Domain, because a request does not
// say which of them it has brought. replaced says that another cookie is set in
// their place.
//
// A cookie that we did not sign may be another gate's, on another port of the host
// or on a parent domain. Beside such a cookie nothing is deleted, because the wrong
// one might be hit. That is safe: a cookie of a session that has ended opens nothing.
func (s sent) expire(m *Manager, h http.Header, replaced bool) {
	name := m.nameFor(s.secure)
	for _, n := range []string{m.hostName, m.o.Cookie.Name} {
		ours, foreign := m.signedIn(s.lines, n)
		if n == name && replaced && foreign > 0 {
			m.o.Log.Warn("a cookie of our name was not signed here: give each Gatehouse on this host, or on a parent domain, a cookie.name of its own", slog.String("cookie", n), slog.String("host", s.host))
		}
		if ours == 0 || foreign > 0 || n == m.hostName && (!s.secure || m.o.Cookie.Path != "/") {
			continue
		}
		for _, domain := range m.domainsOf(n, s.host, ours > 1) {
			if n != name || !replaced || domain != m.o.Cookie.Domain {
				m.deleteCookie(h, n, domain, s.secure)
			}
		}
	}
}

// domainsOf returns the Domains that a cookie of the name may have. several says that
// there are several cookies of the name, so that one has a Domain which we have not
// set: any that the host may set is possible.
func (m *Manager) domainsOf(name, host string, several bool) []string {
	list := []string{""}
	if name == m.hostName {
		return list
	}
	if m.o.Cookie.Domain != "" {
		list = append(list, m.o.Cookie.Domain)
	}
	if _, err := netip.ParseAddr(host); err == nil || !several {
		return list
	}
	for domain := host; strings.Contains(domain, ".") && len(list) < maxCookies; _, domain, _ = strings.Cut(domain, ".") {
		if !slices.Contains(list, domain) {
			list = append(list, domain)
		}
	}
	return list
}

// signedIn counts the different values of the cookie: those that we have signed, and
// those that we have not.
func (m *Manager) signedIn(lines []string, name string) (ours, foreign int) {
	now := m.now()
	var seen []string
	for _, v := range allCookies(lines, name) {
		if slices.Contains(seen, v) {
			continue
		}
		seen = append(seen, v)
		if _, ok := m.prove(v, now); ok {
			ours++
		} else {
			foreign++
		}
	}
	return ours, foreign
}

// deleteCookie puts one Set-Cookie into h that deletes a cookie. The attributes are
// those with which it was set, or browsers keep it.
func (m *Manager) deleteCookie(h http.Header, name, domain string, secure bool) {
	c := m.cookie(name, "", secure) //nolint:gosec // see there
	c.MaxAge, c.Expires, c.Domain = -1, time.Unix(0, 0), domain
	putCookie(h, c)
}
