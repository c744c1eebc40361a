package proxy

import (
	"net/http"

	"gatehouse/auth"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
)

// An exchange is one request and its answer on their way through the gate. It
// belongs to the goroutine that serves the request; only its field active is read
// by others.
type exchange struct {
	p        *Proxy
	incoming               // the request as it was read
	input    decisionInput // what was decided about

	route            *route         // the route that takes the request; nil: not known yet, or none
	id               *auth.Identity // the identity that the upstream gets; nil: none
	dependsOnSession bool           // another session cookie may lead to another answer
	byMethod         bool           // a rule that was asked looks at the method

	out    outgoing      // the request to the upstream
	form   *formBody     // the body, while it is searched for a method; nil: it is not
	data   dataSession   // where the application keeps values; zero: the route has no session_data
	active activeRequest // what ActiveRequests and the session's idle time need to know
	member string        // the member of a balanced upstream that was asked last

	setsOwnCookie bool // the answer carries a cookie of the gate

	hooks *engine.Request // what every out begins with
	spent bool            // the answer is complete, and nobody else refers to any of this
}

// newExchange returns an exchange for r. Exchanges are pooled: an exchange holds
// all that a request needs, so a request costs one allocation, which is reused.
func (p *Proxy) newExchange(r *http.Request) *exchange {
	s, ok := p.exchanges.Get().(*exchange)
	if !ok {
		s = &exchange{p: p}
		s.hooks = &engine.Request{
			Answer: s.answer, Trailer: s.trailer, Broke: s.broke, Chosen: s.chosen,
			Switched: s.switched, FromVisitor: s.active.spoke, Breaker: &s.active.breaker,
		}
	}
	s.in, s.info = r, web.From(r.Context())
	return s
}

// release returns an exchange to the pool if its answer is complete and its
// upstream keeps no reference to it. Any other is left to the garbage collector.
func (s *exchange) release() {
	if !s.spent {
		return
	}
	p, hooks := s.p, s.hooks
	*s = exchange{} // in place: a literal with fields would be built on the stack, which an idle tunnel then keeps
	s.p, s.hooks = p, hooks
	p.exchanges.Put(s)
}

// chosen is called by the engine with the ID of the balanced upstream's member that
// it sends the request to.
func (s *exchange) chosen(id string) { s.member = id }

// switched is called by the engine when the connection has switched protocols. It
// counts such connections; ended must be called when the connection ends.
func (s *exchange) switched() (ended func()) {
	s.p.metrics.LiveStreams(1)
	return func() { s.p.metrics.LiveStreams(-1) }
}
