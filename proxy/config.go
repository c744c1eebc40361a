package proxy

import (
	"slices"
	"time"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/value"
)

// RouteConfig is one of routes in the configuration. The zero value of each
// field but Upstream (or Upstreams) is usable, and the safer choice where there is one.
type RouteConfig struct {
	// Host is exact (wiki.example.com), *.example.com (which matches one label
	// or more before the suffix, not example.com), or "": any. A port is
	// compared only where it is given. Names that are not ASCII are taken for
	// their A-labels, here and in HostHeader and Origins.
	Host        string                `yaml:"host"`
	Path        string                `yaml:"path"`      // by whole segments; "": /
	Upstream    string                `yaml:"upstream"`  // http://host:port, https://host:port, h2c://host:port, or unix:/path
	Upstreams   []string              `yaml:"upstreams"` // several, in place of Upstream
	Sticky      string                `yaml:"sticky"`    // the cookie that keeps a visitor with one of Upstreams; "": nothing does
	Health      HealthConfig          `yaml:"health"`
	UpstreamTLS UpstreamTLSConfig     `yaml:"upstream_tls"`
	StripPrefix bool                  `yaml:"strip_prefix"`
	HostHeader  string                `yaml:"host_header"` // keep | upstream | a name
	Timeouts    TimeoutConfig         `yaml:"timeouts"`
	MaxBody     value.Size            `yaml:"max_body"`        // 0: no limit
	Upgrade     []string              `yaml:"upgrade"`         // protocols; default websocket
	Origins     []string              `yaml:"origins"`         // for WebSockets, besides the route's own
	HeaderNames string                `yaml:"header_names"`    // strict | any
	ClearSite   string                `yaml:"clear_site_data"` // drop | pass
	PassHeaders []string              `yaml:"pass_headers"`    // request headers that may say who asks, and pass all the same: names, or families such as X-Remote-*
	Identity    *IdentityConfig       `yaml:"identity"`        // nil: the general one
	Access      []access.RuleConfig   `yaml:"access"`          // nil: whoever is signed in
	Login       auth.RouteLoginConfig `yaml:"login"`           // what the login page shows on the way here

	// UpstreamReuse lets a connection to the upstream serve one request after
	// the other; false: each request has a connection of its own.
	UpstreamReuse bool `yaml:"upstream_reuse"`
	// UpstreamHTTP is how strictly answers are read: strict, or lenient for
	// upstreams that are not quite HTTP/1.1 (engine.HTTP1Options.Lenient).
	UpstreamHTTP string `yaml:"upstream_http"`

	// AuthenticatedCache says what caches may do with answers to somebody who
	// is signed in: private (none that others use keeps them), no_store (none
	// at all), or keep (what the application says counts).
	AuthenticatedCache string `yaml:"authenticated_cache"`
	// ServiceWorkers are scripts at the root of the host, such as /sw.js, that
	// may be service workers, although these see our own pages as well.
	ServiceWorkers []string `yaml:"service_workers"`

	// SessionData lets the application keep values in the visitor's session.
	SessionData bool `yaml:"session_data"`

	// What follows is for applications that cannot be changed; the zero values
	// leave every byte as it is.

	Rewrite         RewriteConfig `yaml:"rewrite"`
	Cookies         CookieConfig  `yaml:"cookies"`
	RequestHeaders  HeaderConfig  `yaml:"request_headers"`
	ResponseHeaders HeaderConfig  `yaml:"response_headers"` // of the upstream's final answers; what is removed is so from 1xx too
	// BufferBody is how much of a body of unknown length is read before the
	// upstream is asked, so that it gets a Content-Length; a longer one is
	// 413. 0: such a body is sent on as it comes.
	BufferBody  value.Size `yaml:"buffer_body"`
	MaxRequests int        `yaml:"max_requests"` // under way at a time, upgraded connections too; one more is 503. 0: no limit
}

// HealthConfig is the section health: requests that find out which of the
// upstreams are well. Without Path, only the visitors' requests do.
type HealthConfig struct {
	Path     string         `yaml:"path"`     // answered with 200 to 399 by an upstream that is well; "": no checks
	Interval value.Duration `yaml:"interval"` // between two checks
	Timeout  value.Duration `yaml:"timeout"`  // for the head of the answer
}

// UpstreamTLSConfig is the section upstream_tls: how an https upstream and we
// know each other. There is no way not to verify who the upstream is.
type UpstreamTLSConfig struct {
	CAFile     string `yaml:"ca_file"`     // PEM: who alone may have signed its certificate; "": whom the system trusts
	CertFile   string `yaml:"cert_file"`   // PEM: our own certificate, for an upstream that asks
	KeyFile    string `yaml:"key_file"`    // PEM, without a passphrase
	ServerName string `yaml:"server_name"` // whom its certificate must be for; "": the host of the upstream
	MinVersion string `yaml:"min_version"` // 1.0 | 1.1 | 1.2 | 1.3; "": 1.2
	// Pin is sha256/BASE64 of the public key (SubjectPublicKeyInfo) that its
	// certificate must have; neither its name, nor its dates, nor who signed it
	// count then. "": they do.
	Pin string `yaml:"pin"`
}

// RewriteConfig is the section rewrite: what an application says of its own
// place is translated into what the visitor sees, where that is another host
// (host_header) or another path (strip_prefix).
type RewriteConfig struct {
	URLs    bool `yaml:"urls"`    // Location, Content-Location and Refresh of answers, Destination of COPY and MOVE
	Cookies bool `yaml:"cookies"` // Domain and Path of Set-Cookie
}

// CookieConfig is the section cookies: what is added to the cookies that the
// upstream sets. Nothing is ever taken away.
type CookieConfig struct {
	Secure   bool     `yaml:"secure"`    // where the visitor's connection is https
	HTTPOnly bool     `yaml:"http_only"` // but for those of Except
	Except   []string `yaml:"except"`    // names of cookies that scripts have to read
	SameSite string   `yaml:"same_site"` // lax | strict | none, where the application says nothing; "": none is added
}

// HeaderConfig is a section request_headers or response_headers. Names are
// compared as fold does, so that no other spelling gets past.
type HeaderConfig struct {
	Set    map[string]string `yaml:"set"`    // in place of all that was there
	Remove []string          `yaml:"remove"` // names
}

// TimeoutConfig bounds how long an upstream, or a visitor, may take; 0: as
// long as it likes.
type TimeoutConfig struct {
	Connect  value.Duration `yaml:"connect"`
	Response value.Duration `yaml:"response"` // from the end of the request to the head of the answer
	Stall    value.Duration `yaml:"stall"`    // a visitor who neither sends what is waited for nor takes what is offered
	Idle     value.Duration `yaml:"idle"`     // of a connection to the upstream that nobody uses
}

// IdentityConfig is the section identity: which headers carry whom.
type IdentityConfig struct {
	// Headers maps a header's name to username, email, display_name, groups
	// (comma-separated), session_id (the public handle, which opens nothing)
	// or auth_time (when the person signed in: RFC 3339, in UTC).
	Headers map[string]string `yaml:"headers"`
}

// The words of the configuration.
const (
	keepHost     = "keep"
	upstreamHost = "upstream"
	strictNames  = "strict"
	anyNames     = "any"
	dropClear    = "drop"
	passClear    = "pass"
	webSocket    = "websocket"
	privateCache = "private"
	noStoreCache = "no_store"
	keepCache    = "keep"
	strictHTTP   = "strict"
	lenientHTTP  = "lenient"
)

// SetDefaults fills in what contract.md names as defaults.
func (c *RouteConfig) SetDefaults() {
	c.Path = "/"
	c.HostHeader = keepHost
	c.Timeouts = TimeoutConfig{
		Connect:  value.Duration(5 * time.Second),
		Response: value.Duration(60 * time.Second),
		Stall:    value.Duration(60 * time.Second),
		Idle:     value.Duration(4 * time.Second),
	}
	c.UpstreamReuse = true
	c.UpstreamHTTP = strictHTTP
	c.UpstreamTLS.MinVersion = defaultTLS
	c.Health = HealthConfig{Interval: value.Duration(10 * time.Second), Timeout: value.Duration(2 * time.Second)}
	c.Upgrade = []string{webSocket}
	c.HeaderNames = strictNames
	c.ClearSite = dropClear
	c.AuthenticatedCache = privateCache
}

// SetDefaults fills in what contract.md names as defaults. It is called before
// a file is read, whose map replaces this one as a whole.
func (c *IdentityConfig) SetDefaults() {
	c.Headers = map[string]string{
		"X-Forwarded-User":               string(username),
		"X-Forwarded-Email":              string(email),
		"X-Forwarded-Groups":             string(groups),
		"X-Forwarded-Preferred-Username": string(displayName),
	}
}

func (c *RouteConfig) path() string {
	if c.Path == "" {
		return "/"
	}
	return c.Path
}

// ASCIIHost is Host as browsers send it, with A-labels for what is not ASCII.
func (c *RouteConfig) ASCIIHost() string {
	host, err := httpfield.ASCIIHost(c.Host)
	if err != nil {
		return c.Host // Check says so
	}
	return host
}

// toASCII makes every host of a route that was checked what browsers send.
func (c *RouteConfig) toASCII() {
	c.Host = c.ASCIIHost()
	if host, err := httpfield.ASCIIHost(c.HostHeader); err == nil {
		c.HostHeader = host
	}
	c.Origins = slices.Clone(c.Origins)
	for i, o := range c.Origins {
		if origin, err := httpfield.ASCIIOrigin(o); err == nil {
			c.Origins[i] = origin
		}
	}
}

// label names the route in logs and metrics: host, as browsers send it, and
// path of the configuration.
func (c *RouteConfig) label() string { return c.ASCIIHost() + c.path() }
