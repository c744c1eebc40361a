package proxy

import (
	"gatehouse/access"
	"gatehouse/internal/value"
)

// RouteConfig is one of routes in the configuration.
type RouteConfig struct {
	Host        string              `yaml:"host"`     // exact, *.example.com, or "": any
	Path        string              `yaml:"path"`     // by whole segments; "": /
	Upstream    string              `yaml:"upstream"` // http, https, unix:/path; h2c is refused for now, by name
	StripPrefix bool                `yaml:"strip_prefix"`
	HostHeader  string              `yaml:"host_header"` // keep | upstream | a name
	Timeouts    TimeoutConfig       `yaml:"timeouts"`
	MaxBody     value.Size          `yaml:"max_body"`        // 0: no limit
	Upgrade     []string            `yaml:"upgrade"`         // protocols; default websocket
	Origins     []string            `yaml:"origins"`         // for WebSockets, besides the route's own
	HeaderNames string              `yaml:"header_names"`    // strict | any
	ClearSite   string              `yaml:"clear_site_data"` // drop | pass
	Identity    *IdentityConfig     `yaml:"identity"`        // nil: the general one
	Access      []access.RuleConfig `yaml:"access"`          // nil: whoever is signed in
}

// TimeoutConfig bounds how long an upstream, or a visitor, may take.
type TimeoutConfig struct {
	Connect  value.Duration `yaml:"connect"`
	Response value.Duration `yaml:"response"` // from the end of the request to the head of the answer
	Stall    value.Duration `yaml:"stall"`    // a visitor who neither sends what is waited for nor takes what is offered
}

// IdentityConfig is the section identity: which headers carry whom.
type IdentityConfig struct {
	// Headers maps a header's name to username, email, display_name, groups,
	// session_id or auth_time.
	Headers map[string]string `yaml:"headers"`
}
