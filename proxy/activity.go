package proxy

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// activity says which requests are something that a person does, so that the
// session's idle time begins again. It never changes. That a stream is open
// is none; what moves in one that such a request has opened may be, see
// progress.
type activity struct {
	ignore     []string // paths without a slash at the end
	background bool     // requests that are no navigation count too
	transfers  bool     // so do bytes of uploads and downloads
	sockets    bool     // and what the visitor says over a connection that has switched protocols
}

func newActivity(c sessions.ActivityConfig) activity {
	a := activity{background: c.Background, transfers: c.Transfers, sockets: c.Sockets}
	for _, path := range c.Ignore {
		a.ignore = append(a.ignore, strings.TrimSuffix(path, "/"))
	}
	return a
}

// counts says whether the request is a use of the session. A path is ignored
// if any of its readings is: another spelling keeps no session alive.
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

func (a *activity) ignores(path string) bool {
	return slices.ContainsFunc(a.ignore, func(prefix string) bool { return urlpath.Below(path, prefix) })
}

// byPerson says whether somebody goes to a page, or sends a form; not the
// browser, which may fetch a page that nobody has asked for yet.
func byPerson(r *http.Request) bool {
	return web.IsNavigation(r) && len(r.Header["Sec-Purpose"]) == 0
}
