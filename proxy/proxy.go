package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/metrics"
	"gatehouse/internal/web"
)

// Options are what a Proxy is made of.
type Options struct {
	Routes   []RouteConfig
	Identity IdentityConfig // for routes without their own
	Auth     *auth.Auth     // required
	Pages    *web.Pages     // required: answers what goes wrong after a request was forwarded
	Audit    *audit.Log
	Metrics  *metrics.Metrics
	Log      *slog.Logger
}

// A Proxy routes, judges and forwards requests. It belongs to one
// configuration. Safe for concurrent use.
type Proxy struct{}

// New builds the routes.
func New(o Options) (*Proxy, error) { panic("being built") }

// ServeHTTP takes a request the way that ARCHITECTURE.md describes.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) error { panic("being built") }

// Close lets go of idle connections to upstreams. Requests under way end by
// themselves.
func (p *Proxy) Close() { panic("being built") }

// A Question is a request that nobody makes: for gatehouse explain.
type Question struct {
	Method string
	URL    string // absolute, or a path
	Client netip.Addr
	Who    *access.Who // nil: not signed in
}

// An Explanation says which route and rule decide, and why, for each reading
// of the path.
type Explanation struct {
	Decision string    `json:"decision"` // allow | public | challenge | deny | ambiguous | own-page | no-route | bad-request
	Why      string    `json:"why"`
	Route    string    `json:"route,omitempty"`
	Rule     int       `json:"rule"` // from 0; -1: none
	Readings []Reading `json:"readings,omitempty"`
}

// A Reading is one way in which an upstream may read a path, and what is
// decided of it.
type Reading struct {
	Path     string `json:"path"`
	How      string `json:"how"` // such as "decoded once"
	Route    string `json:"route"`
	Rule     int    `json:"rule"`
	Decision string `json:"decision"`
}

// Explain decides a question without forwarding anything.
func (p *Proxy) Explain(ctx context.Context, q Question) Explanation { panic("being built") }
