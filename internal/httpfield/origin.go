// Package httpfield reads what fields of HTTP requests say, for the rooms that
// have to agree about it.
package httpfield

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The reasons for which Origin.Check refuses a request.
var (
	// ErrCrossSite: the browser says that a page of another site sent it.
	ErrCrossSite = errors.New("sent by a page of another site")
	// ErrOtherOrigin: the browser says nothing of sites (it does so over https
	// and on localhost only), and names an origin that is not the one known
	// here. So it is with another site's page, and behind a proxy that changes
	// Host or the browser's Referrer-Policy.
	ErrOtherOrigin = errors.New("sent from another origin")
)

// An Origin is a site as its visitors' browsers see it.
type Origin struct {
	Scheme string // http or https
	Host   string // host or host:port
	Port   string // the port where Host has none, if it is known; ""
}

// Check returns nil if a page of the origin sent the request with the header,
// or the visitor did so by hand. It asks in the order of
// net/http.CrossOriginProtection, with trusted proxies taken into account:
//
//   - Sec-Fetch-Site alone decides where it is there: no page can set it, and
//     it does not depend on what proxies make of Host or Origin;
//   - then Origin, or Referer where that is missing, must be the origin, or
//     one of allowed, which are compared as text in lower case;
//   - a client that tells nothing is no browser that another site led here:
//     those tell the Origin of what is not safe.
//
// The error wraps ErrCrossSite or ErrOtherOrigin. Its text is for the log.
func (o Origin) Check(h http.Header, allowed ...string) error {
	claims := h["Origin"]
	if len(claims) == 1 && slices.Contains(allowed, strings.ToLower(claims[0])) {
		return nil
	}
	if sites := h["Sec-Fetch-Site"]; len(sites) > 0 {
		for _, site := range sites {
			if site != "same-origin" && site != "none" {
				return fmt.Errorf("%w: Sec-Fetch-Site is %.40q", ErrCrossSite, site)
			}
		}
		return nil
	}
	name := "Origin"
	if len(claims) == 0 {
		name, claims = "Referer", h["Referer"]
	}
	for _, claim := range claims {
		u, err := url.Parse(claim)
		if err != nil || !o.Is(u) {
			return fmt.Errorf("%w: %s is %q, but this is %s://%s%s", ErrOtherOrigin, name, originOf(u, claim), o.Scheme, o.Host, remedy(u, o))
		}
	}
	return nil
}

// Is reports whether u, an absolute URL, lies in the origin: its scheme, host
// and port are those of the origin. A port that goes without saying may be
// left out.
func (o Origin) Is(u *url.URL) bool {
	if u.Opaque != "" || u.User != nil || u.Host == "" || !strings.EqualFold(u.Scheme, o.Scheme) {
		return false
	}
	host := bareHost(u.Scheme, u.Host)
	return host == bareHost(o.Scheme, o.Host) ||
		o.Port != "" && !hasPort(o.Host) && host == bareHost(o.Scheme, o.Host+":"+o.Port)
}

// IsHost reports whether u, an absolute URL, has the origin's host, whatever its
// scheme and port.
func (o Origin) IsHost(u *url.URL) bool {
	return u.Host != "" && u.Opaque == "" && u.User == nil && strings.EqualFold(u.Hostname(), (&url.URL{Host: o.Host}).Hostname())
}

// bareHost is host in lower case, without the port that goes without saying.
func bareHost(scheme, host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ":")
	if strings.EqualFold(scheme, "https") {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

func hasPort(host string) bool {
	return strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']')
}

// originOf is what a claim says of its origin. The path and query of a Referer
// are nobody's business.
func originOf(u *url.URL, claim string) string {
	if u == nil || u.Host == "" {
		return claim[:min(len(claim), 40)]
	}
	return u.Scheme + "://" + u.Host
}

// remedy says what to do where a proxy in front is the likely cause.
func remedy(u *url.URL, o Origin) string {
	switch {
	case u == nil:
	case u.Path == "null" && u.Host == "":
		return "; does a proxy in front add Referrer-Policy: no-referrer?"
	case o.IsHost(u):
		return "; a proxy in front must pass on scheme, host and port (X-Forwarded-Proto, and Host or X-Forwarded-Host), and stand in trusted_proxies"
	}
	return ""
}
