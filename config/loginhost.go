package config

import (
	"net/netip"
	"strings"

	"gatehouse/internal/httpfield"
)

// checkLoginHost reports what does not go together with login.host: hosts of routes,
// plain http, and attributes of the cookie.
func (c *Config) checkLoginHost(x *crossCheck) {
	login := c.Login.ASCIIHost()
	if login == "" || x.isBroken("login.host") {
		return
	}
	for i := range c.Routes {
		c.checkAppHost(x, i, login)
	}
	if !httpfield.IsLocalhost(login) && !c.mayHaveHTTPS() {
		x.Errorf("login.host", "%s is on plain http, where anybody on the way can take the sign-ins that pass from host to host; write tls.cert_file and tls.key_file, or name the proxy with https in trusted_proxies", quote(c.Login.Host))
	}
	c.checkHostCookie(x, login)
}

// checkAppHost checks the host of one route. People are sent to hosts of routes with a
// one-time code that signs them in there, so each host must be known, and be a name:
// sign-ins are kept by name, and tell no ports apart.
func (c *Config) checkAppHost(x *crossCheck, route int, login string) {
	key, host := index("routes", route)+".host", c.Routes[route].Host
	rest, wildcard := strings.CutPrefix(strings.ToLower(c.Routes[route].ASCIIHost()), "*.")
	if rest == "" {
		x.Errorf(key, "is missing, so that any host would get sign-ins from login.host; write each host, such as wiki.example.com")
		return
	}
	h, err := httpfield.ParseHost(rest, "")
	if err != nil {
		return // the route's own check says so
	}
	name, _, _ := strings.Cut(host, ":")
	_, err = netip.ParseAddr(strings.Trim(h.Name, "[]"))
	switch {
	case err == nil:
		x.Errorf(key, "%s is an address, and with login.host applications have names; write one, such as wiki.example.com", quote(host))
	case h.Name == login && !wildcard:
		x.Errorf(key, "%s is login.host, which serves no application; write another host", quote(host))
	case strings.Contains(rest, ":"):
		x.Errorf(key, "%s has a port, and with login.host sign-ins are kept by name alone; write %s", quote(host), quote(name))
	case wildcard:
		x.Warnf(key, "%s: with login.host, whoever controls any host below it can get the sign-ins of visitors for that host, and use this application as them; write a route for each host", quote(host))
	}
}

// mayHaveHTTPS reports whether visitors may come over https: to this server, or to a
// proxy that tells of it. A proxy that is not trusted is not enough, whatever
// cookie.secure says: the addresses of the way in have the scheme of the request.
func (c *Config) mayHaveHTTPS() bool {
	return c.TLS.CertFile != "" || c.TLS.KeyFile != "" || len(c.TrustedProxies) > 0
}

// checkHostCookie reports attributes with which the cookies of the login host and of the
// applications' hosts do not work, or are not safe.
func (c *Config) checkHostCookie(x *crossCheck, login string) {
	if c.Cookie.Domain != "" {
		x.Errorf("cookie.domain", "%s is not for login.host, with which each host has a cookie of its own; leave it out", quote(c.Cookie.Domain))
	}
	if c.Cookie.SameSite == "strict" {
		x.Errorf("cookie.same_site", "strict: browsers do not send such a cookie on the way from another site to login.host and back; write lax")
	}
	if c.Cookie.Secure == "false" && !httpfield.IsLocalhost(login) {
		x.Errorf("cookie.secure", "false: with login.host, anybody on the way could take the sign-in for each host; write auto")
	}
}
