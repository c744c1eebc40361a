package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"gatehouse/proxy/engine"
)

// An address says where an upstream is.
type address struct {
	network, dial string // for net.Dial
	name          string // whom the certificate must be for
	tls           bool
	host          string // what to call it in a Host header
}

// parseUpstream reads http://host[:port], https://host[:port] or unix:/path.
// An error never holds what may be a password.
func parseUpstream(s string) (address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		switch {
		case !strings.HasPrefix(path, "/") || path == "/":
			return address{}, fmt.Errorf("%q is not the absolute path of a socket; write unix:/run/app.sock", s)
		case len(path) > 100: // sun_path holds 108 bytes, with a NUL, on Linux
			return address{}, fmt.Errorf("%q is too long for a socket; write a path of 100 bytes at most", s)
		}
		return address{network: "unix", dial: path, host: "localhost"}, nil
	}
	scheme, rest, ok := strings.Cut(s, "://")
	switch scheme = strings.ToLower(scheme); {
	case s == "":
		return address{}, errors.New("is missing; write where the application listens, such as http://127.0.0.1:3000")
	case strings.Contains(s, "@"):
		return address{}, errors.New("holds a user name or password (not shown); the application gets none, write the address alone")
	case !ok:
		return address{}, fmt.Errorf("%q has no http:// or https://; write %q", s, "http://"+s)
	case scheme == "h2c":
		return address{}, fmt.Errorf("%q: h2c is not there yet; write %q, which HTTP/2 servers speak as well", s, "http://"+rest)
	case scheme != "http" && scheme != "https":
		return address{}, fmt.Errorf("%q is not a kind of upstream; write http://host:port, https://host:port or unix:/path", s)
	}
	u, err := url.Parse(s)
	if err != nil {
		return address{}, fmt.Errorf("%q is not an address; write http://127.0.0.1:3000", s)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return address{}, fmt.Errorf("%q has a path or query; write %q (the visitor's path is sent, see strip_prefix)", s, scheme+"://"+u.Host)
	}
	h, err := parseHost(u.Host, scheme)
	if err != nil {
		return address{}, fmt.Errorf("%q has no host[:port] that can be connected to; write http://127.0.0.1:3000", s)
	}
	a := address{network: "tcp", name: strings.Trim(h.name, "[]"), tls: scheme == "https", host: u.Host}
	a.dial = net.JoinHostPort(a.name, h.visiblePort(scheme))
	return a, nil
}

func (a address) scheme() string {
	if a.tls {
		return "https"
	}
	return "http"
}

// connect makes the upstream; nothing is connected yet. What speaks TLS, and
// so perhaps HTTP/2, goes through http.Transport.
func (a address) connect(t TimeoutConfig) engine.Upstream {
	if a.tls {
		return engine.NewStandard(a.standard(t))
	}
	return engine.NewHTTP1(engine.HTTP1Options{Network: a.network, Address: a.dial, Timeouts: t.engine()})
}

// standard says the same to http.Transport. The certificate of an upstream
// with TLS is verified for its name, always.
func (a address) standard(t TimeoutConfig) engine.StandardOptions {
	o := engine.StandardOptions{Network: a.network, Address: a.dial, Timeouts: t.engine()}
	if a.tls {
		o.TLS = &tls.Config{ServerName: a.name, MinVersion: tls.VersionTLS12}
	}
	return o
}

func (c TimeoutConfig) engine() engine.Timeouts {
	return engine.Timeouts{Connect: c.Connect.D(), Response: c.Response.D(), Stall: c.Stall.D()}
}
