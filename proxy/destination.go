package proxy

import (
	"net/http"
	"net/url"

	"gatehouse/access"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// judgeDestination looks at where a WebDAV COPY or MOVE (RFC 4918, 9.8) wants
// to write: who may not touch a place by its own path must not do so by naming
// it here. The header is sent on as it came.
func (s *exchange) judgeDestination(hr *hostRoutes, source ruling) error {
	if s.in.Method != "COPY" && s.in.Method != "MOVE" {
		return nil
	}
	lines := s.in.Header["Destination"]
	if len(lines) == 0 {
		return nil
	}
	u, err := url.Parse(lines[0])
	if len(lines) != 1 || err != nil || u.Opaque != "" || !urlpath.WellFormed(u.EscapedPath()) {
		return web.Refuse(http.StatusBadRequest, "The destination cannot be read.")
	}
	var q decisionInput
	if err := q.read(hr, u.EscapedPath(), access.Facts{Method: s.in.Method, Client: s.info.Client}); err != nil {
		return err
	}
	v, err := q.decide(s.who())
	switch {
	case err != nil:
		return err
	case v.route != source.route || v.Outcome < source.Outcome:
		return web.Refuse(http.StatusForbidden, "The destination may not be written to.")
	}
	return nil
}
