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
	// ErrCrossSite is returned when the browser says that a page of another site sent
	// the request.
	ErrCrossSite = errors.New("sent by a page of another site")
	// ErrOtherOrigin is returned when the browser does not send Sec-Fetch-Site, which it
	// does over https and on localhost only, and names another origin than the one that
	// is known here. Either a page of another site sent the request, or a proxy in front
	// changes Host, or sets a Referrer-Policy.
	ErrOtherOrigin = errors.New("sent from another origin")
)

// An Origin is the origin of a site (RFC 6454) as its visitors' browsers see it.
type Origin struct {
	Scheme string // http or https
	Host   string // host or host:port
	Port   string // the port if Host has none; "": unknown, or the scheme's own
}

// Check returns nil if the request with this header was sent by a page of the origin, or
// of one of allowed, or by the visitor themselves. It checks in the order of
// net/http.CrossOriginProtection:
//
//   - an Origin that is one of allowed, which are compared as text in lower case, passes;
//   - where Sec-Fetch-Site is there it decides alone: no page can set it, and it does not
//     depend on what proxies do to Host or Origin;
//   - else Origin, or Referer if that is missing, must be the origin;
//   - a client that sends none of them passes: it is no browser that another site led
//     here, because those send Origin, or Referer, with every unsafe request.
//
// CrossOriginProtection itself does not fit. It compares Origin with Request.Host
// alone, so that it knows nothing of the host, scheme and port behind trusted proxies;
// it lets every GET pass, and the handshake of a WebSocket is one; and it does not look
// at Referer, which is all that some old browsers send with a form.
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

// Is reports whether u, an absolute URL, has the scheme, host and port of the origin. The
// default port of the scheme may be left out on either side.
func (o Origin) Is(u *url.URL) bool {
	if u.Opaque != "" || u.User != nil || u.Host == "" || !strings.EqualFold(u.Scheme, o.Scheme) {
		return false
	}
	host := bareHost(u.Scheme, u.Host)
	return host == bareHost(o.Scheme, o.Host) ||
		o.Port != "" && !hasPort(o.Host) && host == bareHost(o.Scheme, o.Host+":"+o.Port)
}

// IsHost reports whether u, an absolute URL, has the host of the origin, with any scheme
// and port.
func (o Origin) IsHost(u *url.URL) bool {
	return u.Host != "" && u.Opaque == "" && u.User == nil && strings.EqualFold(u.Hostname(), (&url.URL{Host: o.Host}).Hostname())
}

// bareHost returns host in lower case, without the default port of the scheme.
func bareHost(scheme, host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ":")
	if strings.EqualFold(scheme, "https") {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// hasPort reports whether host ends in a port.
func hasPort(host string) bool {
	return strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']')
}

// originOf returns the origin of a claim, for the log. The path and query of a Referer
// are left out, because they may hold secrets.
func originOf(u *url.URL, claim string) string {
	if u == nil || u.Host == "" {
		return claim[:min(len(claim), 40)]
	}
	return u.Scheme + "://" + u.Host
}

// remedy returns what to do about it, to be appended to the error, where a proxy in front
// is the likely cause; else "".
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
