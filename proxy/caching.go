package proxy

import "net/http"

// refreshSession sets the session cookie again where it was signed with an
// older secret, for the identity as well as for a session that is nobody's.
func refreshSession(s *exchange, status int, h http.Header) error {
	switch {
	case status < http.StatusOK:
	case s.id != nil:
		s.p.auth.Refresh(s.in, s.id, h)
		s.setsOwnCookie = s.setsOwnCookie || s.id.Session.StaleSignature
	case s.data.info.StaleSignature:
		refreshDataSession(s, h)
		s.setsOwnCookie = true
	}
	return nil
}

// limitCaching keeps an answer out of shared caches: one that was made for
// somebody, unless authenticated_cache of the route says otherwise, and one
// that carries a cookie of the gate always.
func limitCaching(s *exchange, status int, h http.Header) error {
	if status < http.StatusOK {
		return nil
	}
	policy, personal := s.route.conf.AuthenticatedCache, s.id != nil || s.data.info.Key != ""
	switch {
	case personal && policy == noStoreCache:
		keepNowhere(h)
	case s.setsOwnCookie, personal && policy != keepCache:
		keepPrivate(h)
	}
	return nil
}
