package proxy

import (
	"net/http"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/web"
)

// A Decision says what becomes of a request, and why. It is a value that
// nothing has been done about yet: ServeHTTP acts on it, Explain shows it. The
// zero value denies.
//
// Besides the fields below it has Outcome, which is what the rules say, and
// Rule, the index of the rule that says it in the access section of its route;
// -1: none does.
type Decision struct {
	ruling

	// OwnPage reports whether the path is one of the gate's own pages. No
	// route takes it, no rule is asked, and Outcome means nothing.
	OwnPage bool

	// Identity is who makes the request. It is nil when nobody is signed in,
	// and when nobody was looked up, as for a public path.
	Identity *auth.Identity

	// DependsOnSession reports whether the session was looked up, so that the
	// same request with another cookie may be answered in another way.
	DependsOnSession bool
}

// Route returns the name of the route that takes the request, as in logs and
// metrics: its host and path. "": none does.
func (d *Decision) Route() string {
	if d.route == nil {
		return ""
	}
	return d.route.label
}

// Decide decides about a request without forwarding or answering it. Routes,
// rules, every interpretation of the path, a method that the query names, the
// Destination of WebDAV and scripts of service workers all have their say.
//
// An error is an answer for the client, with its status: what never passes
// (400, 404, 405, 421), what is refused without asking a rule (403), and that
// it could not be told who makes the request (503). The Decision then denies,
// and says how far things came.
//
// What the body of a form says is not known yet: see formBody.
func (p *Proxy) Decide(r *http.Request) (Decision, error) {
	in := incoming{in: r, info: web.From(r.Context())}
	return p.decide(&in, new(decisionInput), p.identify)
}

// An identifyFunc returns who makes a request: an identity, nobody (nil, nil),
// or an error when it could not tell.
type identifyFunc func(r *http.Request) (*auth.Identity, error)

// decide is Decide for a request from anywhere. It fills in and input; input
// stays zero if there was nothing to ask rules about.
func (p *Proxy) decide(in *incoming, input *decisionInput, identify identifyFunc) (Decision, error) {
	d := Decision{ruling: ruling{Rule: -1}}
	err := p.fill(&d, in, input, identify)
	if err != nil {
		d.Outcome, d.OwnPage = access.Deny, false
	}
	return d, err
}

func (p *Proxy) fill(d *Decision, in *incoming, input *decisionInput, identify identifyFunc) error {
	routes, err := in.read(&p.table)
	if err != nil {
		return err
	}
	if d.OwnPage = in.target.isOwn(); d.OwnPage {
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

// identify looks up who makes the request and decides again for them. What is
// decided for nobody stands already.
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

// whoIs returns an identity as access rules see it.
func whoIs(id *auth.Identity) *access.Who {
	if id == nil {
		return nil
	}
	return &access.Who{Name: id.Name, Groups: id.Groups}
}

// A revisionError is the error with which forwarding ends when the request
// turned out, before anything was answered, not to be allowed after all: the
// session ended, or the body names another method.
type revisionError struct{ Decision }

// Error is not shown to anybody: serve acts on the decision instead.
func (*revisionError) Error() string { return "the decision about the request was revised" }
