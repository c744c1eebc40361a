package proxy

import (
	"errors"
	"fmt"
	"log/slog"
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

var errWorker = errors.New("a service worker at the root of the host would see what is typed on the sign-in page; if that is meant, list it in service_workers of the route")

// refuseWorker returns an error if a browser asks for the script of a service
// worker that would take in our own pages: by default the scope of a worker is
// the folder that its script lies in, and a worker sees every request of its
// scope, passwords too. The route can list scripts that may.
//
// What counts is the path as the browser has it: no prefix is stripped. Where
// it can be read in several ways, none of them may lie at the root.
func (s *exchange) refuseWorker() error {
	if len(s.in.Header["Service-Worker"]) == 0 || !s.atRoot() || slices.Contains(s.route.conf.ServiceWorkers, s.t.path) {
		return nil
	}
	s.p.log.LogAttrs(s.in.Context(), slog.LevelWarn, "service worker refused",
		slog.String("request_id", s.info.ID), slog.String("client", s.info.Client.String()), slog.String("route", s.route.label),
		slog.String("path", s.t.path[:min(len(s.t.path), 256)]), slog.String("key", "service_workers"), slog.Any("reason", errWorker))
	return web.Fail(http.StatusForbidden, "This page may not install a service worker here.", errWorker)
}

// atRoot reports whether the path lies in the folder / in any reading, but for
// those that can only refuse.
func (s *exchange) atRoot() bool {
	if strings.LastIndexByte(s.t.path, '/') == 0 {
		return true
	}
	return s.question.readings != nil && slices.ContainsFunc(s.question.readings.List, func(r urlpath.Interpretation) bool {
		return !r.DenyOnly && strings.LastIndexByte(r.Path, '/') == 0
	})
}

// checkWorkers looks at service_workers.
func (c *RouteConfig) checkWorkers(report *problem.List) {
	for i, script := range c.ServiceWorkers {
		key := fmt.Sprintf("service_workers[%d]", i)
		prefix := strings.TrimSuffix(c.path(), "/")
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

// dropWideWorker drops a Service-Worker-Allowed that takes in our own pages: a
// service worker sees every request of its scope, so one script that somebody
// managed to upload to an application could read passwords. The price: a
// script that is to have the whole site as its scope must lie at the root of
// the site, where browsers allow that without the header.
func (s *exchange) dropWideWorker(h http.Header) {
	for _, v := range h["Service-Worker-Allowed"] {
		if scopeCoversUs(v, s.t.path) {
			delete(h, "Service-Worker-Allowed")
			return
		}
	}
}

// scopeCoversUs resolves a scope as browsers do: relative to the script, and
// as a prefix of the text of a path.
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
