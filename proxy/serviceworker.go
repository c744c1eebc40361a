package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"gatehouse/auth"
	"gatehouse/internal/problem"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// errWorker is logged for a refused service worker, and tells the operator what to
// do.
var errWorker = errors.New("a service worker at the root of the host would see what is typed on the sign-in page; if that is meant, list it in service_workers of the route")

// checkWorker returns an error (403) if a browser requests the script of a service
// worker whose scope would include the gate's own pages. The default scope of a
// worker is the directory of its script, and it sees every request in its scope,
// including passwords. Scripts that the route lists are allowed.
//
// The path is the one that the browser uses, before a prefix is stripped, and no
// interpretation of it may be in the root directory.
func (q *decisionInput) checkWorker(h http.Header, r *route) error {
	if len(h["Service-Worker"]) == 0 || !q.atRoot() || slices.Contains(r.conf.ServiceWorkers, q.path) {
		return nil
	}
	return web.Fail(http.StatusForbidden, "This page may not install a service worker here.", errWorker)
}

// atRoot reports whether any interpretation of the path that is not DenyOnly is
// directly in the root directory.
func (q *decisionInput) atRoot() bool {
	if strings.LastIndexByte(q.path, '/') == 0 {
		return true
	}
	return q.readings != nil && slices.ContainsFunc(q.readings.List, func(r urlpath.Interpretation) bool {
		return !r.DenyOnly && strings.LastIndexByte(r.Path, '/') == 0
	})
}

// checkWorkers checks service_workers. Every valid entry gets a warning.
func (c *RouteConfig) checkWorkers(report *problem.List) {
	for i, script := range c.ServiceWorkers {
		key := fmt.Sprintf("service_workers[%d]", i)
		prefix := c.prefix()
		switch {
		case !urlpath.Plain(script):
			report.Errorf(key, "%q is not the path of a script; write it as browsers ask for it, such as /sw.js", script)
		case strings.LastIndexByte(script, '/') != 0:
			report.Errorf(key, "%q needs no permission, because it sees nothing outside of %q; remove it", script, script[:strings.LastIndexByte(script, '/')+1])
		case prefix != "" && script != prefix:
			report.Errorf(key, "%q does not lie in the route's path %q; write it in the route that takes it", script, c.path())
		default:
			report.Warnf(key, "%q sees every request of the host, passwords on the sign-in page too: whoever can change this script can read them", script)
		}
	}
}

// dropWideWorker is the answer filter that drops a Service-Worker-Allowed whose
// scope includes the gate's own pages: with it, a single script uploaded to an
// application could read passwords. The price is that a script for the whole site
// must be at its root, where browsers need no such header.
func dropWideWorker(s *exchange, _ int, h http.Header) error {
	for _, v := range h["Service-Worker-Allowed"] {
		if scopeCoversUs(v, s.target.path) {
			delete(h, "Service-Worker-Allowed")
			break
		}
	}
	return nil
}

// scopeCoversUs reports whether a scope includes pages of the gate. It resolves the
// scope as browsers do: relative to the script, and as a textual prefix of paths. A
// malformed scope counts as one that does.
func scopeCoversUs(scope, script string) bool {
	u, err := url.Parse(strings.TrimSpace(scope))
	if err != nil {
		return true
	}
	p := u.Path
	if !strings.HasPrefix(p, "/") {
		dir, _ := path.Split(script)
		p = dir + p
	}
	low := strings.ToLower(p)
	if clean := path.Clean(low); clean != low && !strings.HasSuffix(low, "/") || strings.Contains(low, "/.") {
		low = clean
	}
	return strings.HasPrefix(auth.Prefix, low) || strings.HasPrefix(low, auth.Prefix)
}
