package proxy

import (
	"slices"
	"time"

	"gatehouse/access"
	"gatehouse/auth/portal"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/value"
)

// RouteConfig is one entry of routes in the configuration. SetDefaults sets the
// defaults named here, and Check reports what is wrong. The zero value of every
// field but Upstream (or Upstreams) is valid, and where one value is safer than the
// others it is that one.
type RouteConfig struct {
	// Host is a name (wiki.example.com), *.example.com for all names below it but
	// not example.com itself, or "" for any host. A port is compared only if one is
	// given. A name that is not ASCII is converted to A-labels, here and in
	// HostHeader and Origins.
	Host string `yaml:"host"`
	// Path matches whole segments: /a matches /a and /a/b, but not /ab. It must be
	// urlpath.Plain. Default: /.
	Path string `yaml:"path"`

	// Upstream is where the application listens: http://host:port,
	// https://host:port, h2c://host:port (HTTP/2 without TLS), or unix:/path.
	Upstream string `yaml:"upstream"`
	// Upstreams are several equivalent upstreams instead of Upstream, 64 at most,
	// all with the same scheme.
	Upstreams []string `yaml:"upstreams"`
	// Sticky is the name of a cookie that keeps a visitor on the same one of
	// Upstreams; "": requests go to any of them, the default.
	Sticky string       `yaml:"sticky"`
	Health HealthConfig `yaml:"health"`

	UpstreamTLS UpstreamTLSConfig `yaml:"upstream_tls"`
	// StripPrefix removes Path from the path that the upstream sees.
	StripPrefix bool `yaml:"strip_prefix"`
	// HostHeader is the Host that the upstream sees: keep (the visitor's, the
	// default), upstream (the host of its address), or a name.
	HostHeader string        `yaml:"host_header"`
	Timeouts   TimeoutConfig `yaml:"timeouts"`
	// MaxBody is the maximum size of a request body in bytes; a larger one is 413.
	// 0: no limit, the default.
	MaxBody value.Size `yaml:"max_body"`
	// Upgrade lists the protocols that a connection may switch to (RFC 9110, 7.8).
	// Default: websocket. h2c, HTTP and TLS are never allowed.
	Upgrade []string `yaml:"upgrade"`
	// Origins are the origins, such as https://app.example.com, whose pages may
	// open WebSockets in addition to the route's own.
	Origins []string `yaml:"origins"`
	// HeaderNames is strict (the default: request headers pass only if their names
	// consist of A-Z, a-z, 0-9 and -) or any.
	HeaderNames string `yaml:"header_names"`
	// ClearSite says what happens to Clear-Site-Data in answers, which could sign
	// visitors out: drop (the default) or pass.
	ClearSite string `yaml:"clear_site_data"`
	// PassHeaders are request headers that pass although an application may take
	// them for an identity: names, or families such as X-Remote-*. The headers of
	// the route's own Identity never pass.
	PassHeaders []string                `yaml:"pass_headers"`
	Identity    *IdentityConfig         `yaml:"identity"` // nil: the general section
	Access      []access.RuleConfig     `yaml:"access"`   // nil: everybody who is signed in may pass; an empty list denies every request
	Login       portal.RouteLoginConfig `yaml:"login"`    // what the login page shows on the way here

	// UpstreamReuse keeps connections to the upstream open for further requests
	// (the default); false: each request gets a connection of its own.
	UpstreamReuse bool `yaml:"upstream_reuse"`
	// UpstreamHTTP is how HTTP/1.1 answers are parsed: strict (the default), or lenient
	// for upstreams that are not quite HTTP/1.1 (engine.HTTP1Options.Lenient).
	UpstreamHTTP string `yaml:"upstream_http"`

	// AuthenticatedCache is what caches may do with answers to people who are
	// signed in: private (no shared cache stores them, the default), no_store (no
	// cache does), or keep (the application decides).
	AuthenticatedCache string `yaml:"authenticated_cache"`
	// ServiceWorkers are the paths of scripts at the root of the host, such as
	// /sw.js, that may be service workers, although these see requests to the
	// gate's own pages too.
	ServiceWorkers []string `yaml:"service_workers"`

	// SessionData lets the application store values in the visitor's session.
	SessionData bool `yaml:"session_data"`

	// What follows is for applications that cannot be changed. The zero values leave
	// every byte unchanged.

	Rewrite         RewriteConfig `yaml:"rewrite"`
	Cookies         CookieConfig  `yaml:"cookies"`
	RequestHeaders  HeaderConfig  `yaml:"request_headers"`
	ResponseHeaders HeaderConfig  `yaml:"response_headers"` // set in final answers; removed from 1xx as well
	// BufferBody is the size up to which a body of unknown length is read before
	// the request is forwarded, so that the upstream gets a Content-Length; a
	// longer one is 413. At most 1 GiB; 0: such a body is streamed, the default.
	BufferBody value.Size `yaml:"buffer_body"`
	// MaxRequests is the maximum number of requests in flight, including upgraded
	// connections; any more are 503. 0: no limit, the default.
	MaxRequests int `yaml:"max_requests"`
}

// HealthConfig is the section health: requests by which the gate finds out which of
// several upstreams are healthy. Without Path, only visitors' requests show it.
type HealthConfig struct {
	// Path is requested by GET; a status of 200 to 399 means healthy. "": no
	// checks, the default.
	Path     string         `yaml:"path"`
	Interval value.Duration `yaml:"interval"` // from one check to the next, 1s to 1h; default 10s
	Timeout  value.Duration `yaml:"timeout"`  // for the head of the answer, at most 1h; default 2s
}

// UpstreamTLSConfig is the section upstream_tls: how an https upstream and the gate
// authenticate each other. The upstream is always verified. Files are read when a
// configuration is checked and when it is loaded.
type UpstreamTLSConfig struct {
	CAFile     string `yaml:"ca_file"`     // CA certificates in PEM that may sign the upstream's; "": those of the system
	CertFile   string `yaml:"cert_file"`   // the gate's client certificate in PEM, for an upstream that asks for one; "": none
	KeyFile    string `yaml:"key_file"`    // the private key of CertFile in PEM, without a passphrase
	ServerName string `yaml:"server_name"` // the name that the upstream's certificate must be for; "": the host of its address
	MinVersion string `yaml:"min_version"` // 1.0, 1.1, 1.2 (the default) or 1.3
	// Pin is sha256/BASE64 of the public key (SubjectPublicKeyInfo) that the
	// upstream's certificate must have. Its name, dates and issuer are not verified
	// then. "": they are.
	Pin string `yaml:"pin"`
}

// RewriteConfig is the section rewrite: URLs and cookies in which an application
// names its own address are translated to the visitor's view, where host_header or
// strip_prefix make that another host or path.
type RewriteConfig struct {
	URLs    bool `yaml:"urls"`    // Location, Content-Location and Refresh of answers; Destination of COPY and MOVE
	Cookies bool `yaml:"cookies"` // Domain and Path of Set-Cookie
}

// CookieConfig is the section cookies: attributes to add to the cookies that the
// upstream sets. An attribute that a cookie already has is never changed.
type CookieConfig struct {
	Secure   bool     `yaml:"secure"`    // add Secure if the visitor's connection is https
	HTTPOnly bool     `yaml:"http_only"` // add HttpOnly, except to the cookies of Except
	Except   []string `yaml:"except"`    // names of cookies that scripts must be able to read
	SameSite string   `yaml:"same_site"` // add SameSite: lax, strict or none; "": don't, the default
}

// HeaderConfig is the section request_headers or response_headers. Names are
// compared after folding (httpfield.FoldName), so that no other spelling of one
// gets past.
type HeaderConfig struct {
	Set    map[string]string `yaml:"set"`    // values by name; each replaces all fields of that name
	Remove []string          `yaml:"remove"` // names of headers to remove
}

// TimeoutConfig limits how long an upstream or a client may take. 0: no limit.
type TimeoutConfig struct {
	Connect  value.Duration `yaml:"connect"`  // to connect to the upstream, 502 after it; default 5s
	Response value.Duration `yaml:"response"` // from the end of the request to the head of the answer, 504 after it; default 60s
	// Stall is how long a client may neither send awaited bytes of a body nor
	// accept bytes of an answer before the connection is closed; default 60s.
	Stall value.Duration `yaml:"stall"`
	Idle  value.Duration `yaml:"idle"` // how long an unused connection to the upstream is kept; default 4s
}

// The values of keys that accept a fixed set of words.
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

// SetDefaults sets the defaults that the fields name. It must be called before the
// section is decoded, so that a missing key keeps its default.
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

// path returns Path, or its default.
func (c *RouteConfig) path() string {
	if c.Path == "" {
		return "/"
	}
	return c.Path
}

// ASCIIHost returns Host as browsers send it, with A-labels for what is not ASCII.
// It returns Host unchanged if it is malformed, which Check reports.
func (c *RouteConfig) ASCIIHost() string {
	host, err := httpfield.ASCIIHost(c.Host)
	if err != nil {
		return c.Host
	}
	return host
}

// toASCII converts every host of the route to the spelling that browsers send. The
// route must have been checked.
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

// label returns the name of the route in logs and metrics: its host, as browsers
// send it, and its path.
func (c *RouteConfig) label() string { return c.ASCIIHost() + c.path() }
