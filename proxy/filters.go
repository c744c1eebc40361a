package proxy

import (
	"net/http"

	"gatehouse/internal/web"
)

// A requestFilter does one thing to a request on its way to the upstream: it
// adds to out, which begins empty. An error is answered instead of forwarding.
type requestFilter func(s *exchange, out *outgoing) error

// An answerFilter does one thing to the head of an answer on its way back. It
// sees informational answers (1xx) too. An error refuses the answer.
type answerFilter func(s *exchange, status int, h http.Header) error

// newRequestFilters returns what is done to the requests of a route, in order.
// To add a filter, write it in a file of its own and list it here.
func newRequestFilters(r *route) []requestFilter {
	return used([]conditional[requestFilter]{
		{true, copyHeader},
		{true, addForwarded},
		{!r.requestHeaders.takes("Via"), addVia},
		{len(r.identity) > 0, addIdentity},
		{r.conf.SessionData, addSessionData},
		{len(r.requestHeaders.set) > 0, setRequestHeaders}, // the operator's word comes last
		{r.conf.StripPrefix, stripPrefix},
		{r.conf.Rewrite.URLs, rewriteDestination},
		{true, dropTrailers},
		{r.conf.Sticky != "", wantMember},
		{true, negotiateUpgrade},
	})
}

// newAnswerFilters returns what is done to the answers of a route, in order:
// first what must not pass is taken out, then what the gate has to say is put
// in. An answer that is refused must have changed nothing, so what is stored
// for it comes last.
func newAnswerFilters(r *route) []answerFilter {
	return used([]conditional[answerFilter]{
		{r.conf.SessionData, takeSessionData},
		{true, dropForged},
		{r.conf.Rewrite.URLs, rewriteLocations},
		{true, changeCookies},
		{true, dropOwnCookies},
		{r.conf.ClearSite != passClear, dropClearSiteData},
		{true, dropWideWorker},
		{len(r.responseHeaders.names) > 0, setAnswerHeaders},
		{true, varyBySession},
		{r.conf.Sticky != "", setSticky},
		{true, refreshSession},
		{true, limitCaching},
		{true, noteProgress},
		{r.conf.SessionData, storeSessionData},
	})
}

// A conditional is a filter that only some routes use.
type conditional[F any] struct {
	used   bool
	filter F
}

// used returns the filters that are used, so that a route pays for no other.
func used[F any](all []conditional[F]) []F {
	var list []F
	for _, c := range all {
		if c.used {
			list = append(list, c.filter)
		}
	}
	return list
}

// setRequestHeaders sets what request_headers of the route says.
func setRequestHeaders(s *exchange, out *outgoing) error {
	s.route.requestHeaders.add(&out.Header)
	return nil
}

// setAnswerHeaders replaces what response_headers of the route names. In
// informational answers the fields are only dropped.
func setAnswerHeaders(s *exchange, status int, h http.Header) error {
	s.route.responseHeaders.drop(h)
	if status >= http.StatusOK {
		s.route.responseHeaders.put(h)
	}
	return nil
}

// stripPrefix takes the path of the route off the front of the target. The
// prefix may be spelled so that it is not there although every interpretation
// of the path lies below it: 400.
func stripPrefix(s *exchange, out *outgoing) error {
	var ok bool
	if out.path, ok = s.route.strip(out.path); !ok {
		return web.Refuse(http.StatusBadRequest, "")
	}
	return nil
}

// varyBySession tells caches of final answers that depend on the session.
func varyBySession(s *exchange, status int, h http.Header) error {
	if status >= http.StatusOK {
		s.vary(h)
	}
	return nil
}
