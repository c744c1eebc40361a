package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/httpfield"
	"gatehouse/proxy/engine"
)

// An upstreamAddr is the parsed address of an upstream.
type upstreamAddr struct {
	network, dial string // for net.Dial
	name          string // the host; TLS certificates must be valid for it
	tls           bool
	h2c           bool         // HTTP/2 without TLS, with prior knowledge (RFC 9113, 3.3)
	host          string       // the host[:port] for a Host header
	trust         *upstreamTLS // nil: default settings, with the system's CAs
}

// parseUpstream parses http://host[:port], https://host[:port], h2c://host[:port]
// or unix:/path. Its errors never contain what may be a password.
func parseUpstream(s string) (upstreamAddr, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		switch {
		case !strings.HasPrefix(path, "/") || path == "/":
			return upstreamAddr{}, fmt.Errorf("%q is not the absolute path of a socket; write unix:/run/app.sock", s)
		case len(path) > 100: // sun_path holds 108 bytes, with a NUL, on Linux
			return upstreamAddr{}, fmt.Errorf("%q is too long for a socket; write a path of 100 bytes at most", s)
		}
		return upstreamAddr{network: "unix", dial: path, host: "localhost"}, nil
	}
	scheme, _, ok := strings.Cut(s, "://")
	switch scheme = strings.ToLower(scheme); {
	case s == "":
		return upstreamAddr{}, errors.New("is missing; write where the application listens, such as http://127.0.0.1:3000")
	case strings.Contains(s, "@"):
		return upstreamAddr{}, errors.New("holds a user name or password (not shown); the application gets none, write the address alone")
	case !ok:
		return upstreamAddr{}, fmt.Errorf("%q has no http:// or https://; write %q", s, "http://"+s)
	case scheme != "http" && scheme != "https" && scheme != "h2c":
		return upstreamAddr{}, fmt.Errorf("%q is not a kind of upstream; write http://host:port, https://host:port or unix:/path", s)
	}
	u, err := url.Parse(s)
	if err != nil {
		return upstreamAddr{}, fmt.Errorf("%q is not an address; write http://127.0.0.1:3000", s)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return upstreamAddr{}, fmt.Errorf("%q has a path or query; write %q (the visitor's path is sent, see strip_prefix)", s, scheme+"://"+u.Host)
	}
	// h2c is http for ParseHost: the same default port.
	web := strings.Replace(scheme, "h2c", "http", 1)
	h, err := httpfield.ParseHost(u.Host, web)
	if err != nil {
		return upstreamAddr{}, fmt.Errorf("%q has no host[:port] that can be connected to; write http://127.0.0.1:3000", s)
	}
	a := upstreamAddr{network: "tcp", name: strings.Trim(h.Name, "[]"), tls: scheme == "https", h2c: scheme == "h2c", host: u.Host}
	a.dial = net.JoinHostPort(a.name, h.EffectivePort(web))
	return a, nil
}

// scheme returns the scheme of URLs of this upstream.
func (a upstreamAddr) scheme() string {
	if a.tls {
		return "https"
	}
	return "http"
}

// id returns a short hash of the address, which does not reveal it. Sticky cookies
// hold it.
func (a upstreamAddr) id() string {
	sum := sha256.Sum256([]byte(a.scheme() + " " + a.network + " " + a.dial))
	return hex.EncodeToString(sum[:4])
}

// connect returns the upstream for the address. It opens no connection yet. HTTP/2
// uses http.Transport. log may be nil.
func (a upstreamAddr) connect(c *RouteConfig, log *slog.Logger) engine.Upstream {
	o := engine.HTTP1Options{
		Network: a.network, Address: a.dial, TLS: a.clientTLS(), Timeouts: c.Timeouts.engine(), IdleTimeout: c.Timeouts.idle(),
		NoReuse: !c.UpstreamReuse, Lenient: c.UpstreamHTTP == lenientHTTP,
	}
	if log != nil {
		o.Log = log.With("route", c.label(), "upstream", a.dial)
	}
	switch {
	case a.h2c:
		return engine.NewTransport(a.standard(c))
	case a.tls:
		return engine.NewHTTPS(o)
	}
	return engine.NewHTTP1(o)
}

// standard returns the options of connect for http.Transport.
func (a upstreamAddr) standard(c *RouteConfig) engine.TransportOptions {
	return engine.TransportOptions{
		Network: a.network, Address: a.dial, H2C: a.h2c, TLS: a.clientTLS(), Timeouts: c.Timeouts.engine(),
		IdleTimeout: c.Timeouts.idle(), NoReuse: !c.UpstreamReuse,
	}
}

// clientTLS returns the TLS configuration for the upstream; nil if it does not use
// TLS. The upstream is always verified.
func (a upstreamAddr) clientTLS() *tls.Config {
	if !a.tls {
		return nil
	}
	t := &tls.Config{ServerName: a.name, MinVersion: tls.VersionTLS12}
	if a.trust != nil {
		a.trust.apply(t)
	}
	return t
}

// connectAll returns the upstream of a route: a single one, or a balanced one if
// there are several addresses or a health check.
func (c *RouteConfig) connectAll(list []upstreamAddr, log *slog.Logger) engine.Upstream {
	if len(list) == 1 && c.Health.Path == "" {
		return list[0].connect(c, log)
	}
	o := engine.BalancedOptions{
		Health: engine.HealthCheck{Path: c.Health.Path, Interval: c.Health.Interval.D(), Timeout: c.Health.Timeout.D()},
		Log:    log.With("route", c.label()),
	}
	for _, a := range list {
		m := engine.Member{ID: a.id(), Address: a.dial, Host: a.host, Upstream: a.connect(c, log)}
		if c.HostHeader != "" && c.HostHeader != keepHost && c.HostHeader != upstreamHost {
			m.Host = c.HostHeader
		}
		o.Members = append(o.Members, m)
	}
	return engine.NewBalanced(o)
}

// engine returns the timeouts for the engine.
func (c TimeoutConfig) engine() engine.Timeouts {
	return engine.Timeouts{Connect: c.Connect.D(), Response: c.Response.D(), Stall: c.Stall.D()}
}

// idle returns the idle timeout for the engine, where a negative one means no
// limit.
func (c TimeoutConfig) idle() time.Duration {
	if c.Idle == 0 {
		return -1 // as long as the upstream likes
	}
	return c.Idle.D()
}
