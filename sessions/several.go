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

// ErrTwoSessions says that the request brings cookies of ours for different sessions
// that live. One of them was planted, by another host of the domain say, so
// that neither counts. It is an ErrNotFound.
var ErrTwoSessions = fmt.Errorf("two cookies for different sessions that live: %w", ErrNotFound)

// maxCookies is how many cookies of ours, with different sessions, are looked
// up for one request.
const maxCookies = 8

// names are those under which a cookie of ours counts: the one under which it
// is set, and with a Domain also the one without, so that nobody is signed out
// when it is added. The other way round a name that any host of the domain can
// set would count where only we could set one.
func (m *Manager) names(secure bool) (name, other string) {
	name = m.nameFor(secure)
	if secure && name != m.hostName && m.o.Cookie.Path == "/" {
		return name, m.hostName
	}
	return name, ""
}

// find returns the value of the request's cookie that counts, and what it
// proves. A browser may send several under our name: one from before the
// Domain was changed, one of another gate on a parent domain or on another port
// of the host. Those that we did not sign, and those whose session has ended,
// count for nothing.
//
// ErrNotFound: there is none of ours. ErrTwoSessions: there are two that live
// and differ. Any other error: the store could not tell.
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

// choose does so for a request with several cookies of our names.
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
		switch _, err := m.lookup(r.Context(), c.key, c.ring, now); {
		case err == nil:
			found = append(found, c)
		case !errors.Is(err, ErrNotFound):
			return "", proof{}, err
		}
	}
	switch len(found) {
	case 0:
		return list[0].value, list[0].proof, nil // they have ended, all the same
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

// HasCookie reports whether the request brings a cookie that we have signed,
// whether its session lives or not.
func (m *Manager) HasCookie(r *http.Request) bool {
	now := m.now()
	name, other := m.names(m.secure(r))
	return slices.ContainsFunc(allCookies(r.Header["Cookie"], name, other), func(v string) bool {
		_, ok := m.prove(v, now)
		return ok
	})
}

// ClearCookies puts Set-Cookie lines into h that delete the session's cookies which
// the request has brought, as far as they are ours.
func (m *Manager) ClearCookies(r *http.Request, h http.Header) {
	m.sentBy(r).expire(m, h, false)
}

// sent is what a request has sent, as far as cookies have to be deleted later.
type sent struct {
	lines  []string // Cookie
	host   string   // the visitor's, without a port; "" when unknown
	secure bool
}

func (m *Manager) sentBy(r *http.Request) sent {
	host := web.From(r.Context()).Host
	if host == "" {
		host = r.Host
	}
	return sent{r.Header["Cookie"], (&url.URL{Host: host}).Hostname(), m.secure(r)}
}

// expire deletes cookies of ours, with and without Domain, since a request does
// not say which it has brought. replaced: another one is set in their place.
//
// What we did not sign may be another gate's, on another port of the host or
// on a parent domain. Beside such a one nothing is deleted, because it might be
// hit: a cookie whose session has ended opens nothing.
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

// domainsOf returns the Domains that a cookie of the name may have. several:
// that it has one that we have not set is known, because there are several.
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

// signedIn counts the different values of the cookie that we have signed, and
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

func (m *Manager) deleteCookie(h http.Header, name, domain string, secure bool) {
	c := m.cookie(name, "", secure) //nolint:gosec // see there
	c.MaxAge, c.Expires, c.Domain = -1, time.Unix(0, 0), domain
	putCookie(h, c)
}
