package proxy

import (
	"net/http"
	"net/url"

	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// checkDestination returns an error unless the person may also write to the target
// of a WebDAV COPY or MOVE (RFC 4918, 9.8): a path that they may not write to
// directly must not be reachable through the Destination header either. Other
// methods have no destination. The header itself is forwarded unchanged.
func (q *decisionInput) checkDestination(lines []string, d *Decision) error {
	if !isWebDAVMove(q.facts.Method) || len(lines) == 0 {
		return nil
	}
	u, err := url.Parse(lines[0])
	if len(lines) != 1 || err != nil || u.Opaque != "" || !urlpath.WellFormed(u.EscapedPath()) {
		return web.Refuse(http.StatusBadRequest, "The destination cannot be read.")
	}
	var there decisionInput
	if err := there.read(q.routes, &target{path: u.EscapedPath()}, q.facts); err != nil {
		return err
	}
	v, err := there.decide(whoIs(d.Identity))
	switch {
	case err != nil:
		return err
	case v.route != d.route || v.Outcome < d.Outcome:
		return web.Refuse(http.StatusForbidden, "The destination may not be written to.")
	}
	return nil
}

// isWebDAVMove reports whether a method writes to the path in Destination.
func isWebDAVMove(method string) bool { return method == "COPY" || method == "MOVE" }
