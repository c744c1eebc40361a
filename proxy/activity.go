package proxy

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// activity decides which requests are a use of the session and restart its idle
// time. A stream that is merely open is no use; bytes transferred in it may be (see
// activeRequest).
type activity struct {
	ignore     []string // prefixes of paths, without a trailing slash
	background bool     // requests other than navigation count too
	transfers  bool     // bytes of uploads and downloads count
	sockets    bool     // bytes from the client on a connection that has switched protocols count
}

// newActivity returns the activity for a section of the configuration.
func newActivity(c sessions.ActivityConfig) activity {
	a := activity{background: c.Background, transfers: c.Transfers, sockets: c.Sockets}
	for _, path := range c.Ignore {
		a.ignore = append(a.ignore, strings.TrimSuffix(path, "/"))
	}
	return a
}

// counts reports whether the request is a use of the session. A path is ignored if
// any of its interpretations is, so that no other spelling of it keeps a session
// alive.
func (a *activity) counts(q *decisionInput, r *http.Request) bool {
	if !a.background && !byPerson(r) {
		return false
	}
	if len(a.ignore) == 0 {
		return true
	}
	if a.ignores(q.path) {
		return false
	}
	return q.readings == nil || !slices.ContainsFunc(q.readings.List, func(r urlpath.Interpretation) bool { return a.ignores(r.Path) })
}

// ignores reports whether path equals or lies below an ignored one.
func (a *activity) ignores(path string) bool {
	return slices.ContainsFunc(a.ignore, func(prefix string) bool { return urlpath.Below(path, prefix) })
}

// byPerson reports whether a person navigates to a page or submits a form. A page
// that the browser prefetches (Sec-Purpose) does not count.
func byPerson(r *http.Request) bool {
	return web.IsNavigation(r) && len(r.Header["Sec-Purpose"]) == 0
}
