package proxy

import (
	"net/http"

	"gatehouse/internal/web"
)

// A requestFilter does one thing to a request on its way to the upstream, usually
// adding fields to out, which starts empty. If it returns an error the request is
// not forwarded, and the error is answered.
type requestFilter func(s *exchange, out *outgoing) error

// An answerFilter does one thing to the header h of an answer on its way back. It
// is also called for informational answers (1xx), before the final one. If it
// returns an error the answer is refused.
type answerFilter func(s *exchange, status int, h http.Header) error

// newRequestFilters returns the filters for requests of r, in the order in which
// they run. To add a filter, write it in a file of its own and list it here.
func newRequestFilters(r *route) []requestFilter {
	return used([]conditional[requestFilter]{
		{true, copyHeader},
		{true, addForwarded},
		{!r.requestHeaders.takes("Via"), addVia},
		{len(r.identity) > 0, addIdentity},
		{r.conf.SessionData, addSessionData},
		{len(r.requestHeaders.set) > 0, setRequestHeaders}, // after all that add fields, so that the configuration has the last word
		{r.conf.StripPrefix, stripPrefix},
		{r.conf.Rewrite.URLs, rewriteDestination},
		{true, dropTrailers},
		{r.conf.Sticky != "", wantMember},
		{true, negotiateUpgrade},
	})
}

// newAnswerFilters returns the filters for answers of r, in the order in which they
// run: first those that remove what must not pass, then those that add the gate's
// own fields. A refused answer must have had no effect, so the filter that stores
// data is the last.
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

// A conditional is a filter that a route has only if used is true.
type conditional[F any] struct {
	used   bool
	filter F
}

// used returns the filters that a route uses, so that it does not pay for the
// others.
func used[F any](all []conditional[F]) []F {
	var list []F
	for _, c := range all {
		if c.used {
			list = append(list, c.filter)
		}
	}
	return list
}

// setRequestHeaders is the request filter that sets the route's request_headers.
func setRequestHeaders(s *exchange, out *outgoing) error {
	s.route.requestHeaders.add(&out.Header)
	return nil
}

// setAnswerHeaders is the answer filter that applies response_headers. In
// informational answers it only removes fields.
func setAnswerHeaders(s *exchange, status int, h http.Header) error {
	s.route.responseHeaders.drop(h)
	if status >= http.StatusOK {
		s.route.responseHeaders.put(h)
	}
	return nil
}

// stripPrefix is the request filter that removes the route's path from the front of
// the target. It refuses (400) a path whose every interpretation lies below the
// prefix but which does not begin with it literally.
func stripPrefix(s *exchange, out *outgoing) error {
	var ok bool
	if out.path, ok = s.route.strip(out.path); !ok {
		return web.Refuse(http.StatusBadRequest, "")
	}
	return nil
}

// varyBySession is the answer filter that adds Vary to final answers that depend on
// the session.
func varyBySession(s *exchange, status int, h http.Header) error {
	if status >= http.StatusOK {
		s.vary(h)
	}
	return nil
}
