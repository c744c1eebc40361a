package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
)

// changeCookies is the answer filter that applies rewrite.cookies and the cookies
// section to the upstream's Set-Cookie lines. It must run before dropOwnCookies,
// which checks the rewritten lines too: no rewrite can produce a cookie of the
// gate.
func changeCookies(s *exchange, _ int, h http.Header) error {
	conf := s.route.conf
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return nil
	}
	if conf.Rewrite.Cookies {
		p := s.cookiePlace()
		for i, line := range lines {
			lines[i] = p.rewrite(line)
		}
	}
	for i, line := range lines {
		lines[i] = conf.Cookies.harden(line, s.info.Secure())
	}
	return nil
}

// A cookiePlace translates Domain and Path of the upstream's cookies into values
// that the visitor's browser accepts.
type cookiePlace struct {
	visitor string   // the host that the visitor sees, without port
	own     []string // the upstream's names for itself: the hosts of its addresses, and the Host that it was sent
	prefix  string   // what strip_prefix removes; "": nothing
}

// cookiePlace returns the cookiePlace for this exchange.
func (s *exchange) cookiePlace() *cookiePlace {
	p := &cookiePlace{visitor: s.host.Name}
	if s.route.conf.StripPrefix {
		p.prefix = s.route.prefix
	}
	for _, a := range s.route.addresses {
		p.own = append(p.own, a.name)
	}
	if h, err := httpfield.ParseHost(s.route.sentHost(s.host), ""); err == nil {
		p.own = append(p.own, h.Name)
	}
	return p
}

// rewrite translates one Set-Cookie line. A Domain that the visitor's browser would
// refuse is removed, which makes it a host-only cookie, and the stripped prefix is
// put in front of Path. Everything else stays byte for byte. __Host- cookies keep
// their Path.
func (p *cookiePlace) rewrite(line string) string {
	parts := strings.Split(line, ";")
	if p.ownDomain(parts[1:]) {
		parts = append(parts[:1:1], slices.DeleteFunc(parts[1:], isDomain)...)
	}
	if p.prefix != "" && !hostPrefixed(nameOfCookie(parts[0])) {
		for i, part := range parts[1:] {
			parts[i+1] = p.path(part)
		}
	}
	return strings.Join(parts, ";")
}

// ownDomain reports whether every Domain attribute names the upstream's own host
// and would be refused by the visitor's browser. All must, because browsers differ
// in which of several they use. It is true if there is no Domain.
func (p *cookiePlace) ownDomain(attributes []string) bool {
	return !slices.ContainsFunc(attributes, func(part string) bool {
		_, domain := attribute(part)
		return isDomain(part) && !p.mine(strings.ToLower(strings.TrimPrefix(domain, ".")))
	})
}

// isDomain reports whether part is a Domain attribute.
func isDomain(part string) bool {
	name, _ := attribute(part)
	return strings.EqualFold(name, "domain")
}

// mine reports whether domain matches a host of the upstream but not the visitor's
// host.
func (p *cookiePlace) mine(domain string) bool {
	return !domainMatch(p.visitor, domain) && slices.ContainsFunc(p.own, func(host string) bool { return domainMatch(host, domain) })
}

// domainMatch reports whether host domain-matches domain (RFC 6265, 5.1.3): they
// are equal, or host is a name, not an IP address, below domain.
func domainMatch(host, domain string) bool {
	host = strings.Trim(host, "[]")
	if host == "" || domain == "" {
		return false
	}
	if host == strings.Trim(domain, "[]") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err != nil && strings.HasSuffix(host, "."+domain)
}

// path puts the prefix in front of the value of a Path attribute; other attributes
// are returned unchanged. So is a Path that does not begin with a slash: browsers
// use the directory of the visitor's URL instead, which is right already.
func (p *cookiePlace) path(part string) string {
	name, value := attribute(part)
	if !strings.EqualFold(name, "path") || !strings.HasPrefix(value, "/") {
		return part
	}
	at := strings.IndexByte(part, '/')
	rest := part[at:]
	if value == "/" {
		rest = part[at+1:] // a cookie for /app is sent to /app as well, one for /app/ is not
	}
	return part[:at] + p.prefix + rest
}

// harden adds the attributes that the section asks for and the Set-Cookie line
// lacks. secure reports whether the visitor's connection is https.
func (c *CookieConfig) harden(line string, secure bool) string {
	first, rest, _ := strings.Cut(line, ";")
	name := nameOfCookie(first)
	if httpfield.TrimOWS(first) == "" {
		return line // browsers ignore it
	}
	has := func(what string) bool {
		for part := range strings.SplitSeq(rest, ";") {
			if name, _ := attribute(part); strings.EqualFold(name, what) {
				return true
			}
		}
		return false
	}
	isSecure := has("secure")
	if c.Secure && secure && !isSecure {
		line, isSecure = line+"; Secure", true
	}
	if c.HTTPOnly && !has("httponly") && !slices.Contains(c.Except, name) {
		line += "; HttpOnly"
	}
	if word := sameSites[c.SameSite]; word != "" && !has("samesite") && (isSecure || word != "None") {
		line += "; SameSite=" + word // browsers refuse None without Secure
	}
	return line
}

// sameSites maps the words of the configuration to the values of the attribute.
var sameSites = map[string]string{"lax": "Lax", "strict": "Strict", "none": "None"}

// attribute splits a part of a Set-Cookie line at its first "=", without
// surrounding whitespace. value is "" if there is no "=".
func attribute(part string) (name, value string) {
	name, value, _ = strings.Cut(part, "=")
	return httpfield.TrimOWS(name), httpfield.TrimOWS(value)
}

// nameOfCookie returns the name in name=value; "" if there is no "=".
func nameOfCookie(first string) string {
	name, _, ok := strings.Cut(first, "=")
	if !ok {
		return ""
	}
	return httpfield.TrimOWS(name)
}

// hostPrefixed reports whether a cookie's name begins with __Host-, in any letter
// case. Browsers accept such a cookie only with Path=/ (RFC 6265bis, 4.1.3.2).
func hostPrefixed(name string) bool {
	const prefix = "__Host-"
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// check reports what is wrong with the section, under its keys.
func (c *CookieConfig) check(report *problem.List) {
	checkWord(report, "same_site", c.SameSite, "lax", "strict", "none")
	if c.SameSite == "none" && !c.Secure {
		report.Errorf("same_site", "browsers refuse cookies with none that are not Secure; write secure: true as well")
	}
	for i, name := range c.Except {
		if !httpfield.IsToken(name) {
			report.Errorf(fmt.Sprintf("except[%d]", i), "%q is not the name of a cookie; write one such as csrftoken", name)
		}
	}
	if len(c.Except) > 0 && !c.HTTPOnly {
		report.Warnf("except", "changes nothing without http_only; write http_only: true, or remove it")
	}
}
