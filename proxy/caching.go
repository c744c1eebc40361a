package proxy

import "net/http"

// refreshSession is the answer filter that sets the session cookie again if it was
// signed with an old secret, both for a person who is signed in and for an
// anonymous session.
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

// limitCaching is the answer filter that keeps answers out of shared caches. An
// answer that is made for one person is private unless the route's
// authenticated_cache allows more; one with a cookie that an earlier filter set for
// the gate is private always.
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
