package proxy

import (
	"net/http"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/web"
)

// A Decision is what becomes of a request, and why. It has no effect by itself:
// ServeHTTP acts on it, and Explain describes it. The zero value denies.
//
// It also has the fields Outcome, which is what the rules say, and Rule, the index
// of the rule that decided in the access section of its route; -1 if none did.
type Decision struct {
	ruling

	// OwnPage reports whether the request is for one of the gate's own pages: by its
	// path, or because every path of the login host is theirs. There is no route then,
	// no rule is evaluated, and Outcome is meaningless.
	OwnPage bool

	// Identity is the person who makes the request. It is nil if nobody is signed
	// in, and if the identity was not looked up, as for a public path.
	Identity *auth.Identity

	// DependsOnSession reports whether the session was looked up, so that the same
	// request with another cookie may get another answer.
	DependsOnSession bool
}

// Route returns the name of the route that takes the request, as in logs and
// metrics: its host and path. "": no route does.
func (d *Decision) Route() string {
	if d.route == nil {
		return ""
	}
	return d.route.label
}

// Decide decides about a request without forwarding or answering it. It considers
// the routes and their rules, every interpretation of the path, a method that the
// query names, the Destination of WebDAV, and scripts of service workers. It does
// not know what the body of a form says: see formBody. Safe for concurrent use.
//
// An error is one to answer with, and has the status: 400, 404, 405 or 421 for a
// request that never passes, 403 for the script of a service worker or a
// Destination that is not allowed, and 503 if the identity could not be determined.
// The Decision then denies, and holds what was found out before the error.
func (p *Proxy) Decide(r *http.Request) (Decision, error) {
	in := incoming{in: r, info: web.From(r.Context())}
	return p.decide(&in, new(decisionInput), p.identify)
}

// An identifyFunc is Authenticator.Identify, or a substitute: it returns the
// identity of the person, (nil, nil) if nobody is signed in, or an error if it
// could not be determined.
type identifyFunc func(r *http.Request) (*auth.Identity, error)

// decide is Decide for a request from any source. It fills in the fields of in and
// input; input stays zero if the request was refused before the rules were
// evaluated.
func (p *Proxy) decide(in *incoming, input *decisionInput, identify identifyFunc) (Decision, error) {
	d := Decision{ruling: ruling{Rule: -1}}
	err := p.fill(&d, in, input, identify)
	if err != nil {
		d.Outcome, d.OwnPage = access.Deny, false
	}
	return d, err
}

// fill does the work of decide. The order matters: the rules are first evaluated
// for nobody, so that a public path never waits for the session store.
func (p *Proxy) fill(d *Decision, in *incoming, input *decisionInput, identify identifyFunc) error {
	routes, err := in.read(&p.table)
	if err != nil {
		return err
	}
	if d.OwnPage = p.table.isLogin(in.host) || in.target.isOwn(); d.OwnPage {
		return nil
	}
	if err := input.read(routes, &in.target, access.Facts{Method: in.in.Method, Client: in.info.Client}); err != nil {
		return err
	}
	nobody, err := input.decide(nil)
	if err != nil {
		return err
	}
	d.ruling = nobody
	if err := input.checkWorker(in.in.Header, d.route); err != nil {
		return err
	}
	if d.Outcome != access.Public {
		if err := d.identify(in.in, input, identify); err != nil {
			return err
		}
	}
	if d.Outcome < access.Allow {
		return nil
	}
	return input.checkDestination(in.in.Header["Destination"], d)
}

// identify looks up who makes the request and decides again for them. If nobody is
// signed in, the decision that was made for nobody stands.
func (d *Decision) identify(r *http.Request, input *decisionInput, identify identifyFunc) error {
	d.DependsOnSession = true
	id, err := identify(r)
	if err != nil {
		return web.Fail(http.StatusServiceUnavailable, "", err)
	}
	if id == nil {
		return nil
	}
	d.Identity = id
	input.who = access.Who{Name: id.Name, Groups: id.Groups}
	v, err := input.decide(&input.who)
	if err != nil {
		return err
	}
	d.ruling = v
	return nil
}

// whoIs converts an identity to what access rules see of it; nil for nil.
func whoIs(id *auth.Identity) *access.Who {
	if id == nil {
		return nil
	}
	return &access.Who{Name: id.Name, Groups: id.Groups}
}

// A revisionError ends forwarding, before anything was answered, because the
// request turned out not to be allowed after all: the session ended, or the body
// names another method. The embedded Decision replaces the earlier one.
type revisionError struct{ Decision }

// Error implements error. The text is never shown: serve acts on the Decision.
func (*revisionError) Error() string { return "the decision about the request was revised" }
