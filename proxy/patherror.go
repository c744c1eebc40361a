package proxy

import (
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/web"
)

// A pathError is why a path is refused.
type pathError struct{ why string }

// Error is the text for the log.
func (e *pathError) Error() string { return e.why }

// Why paths are refused.
var (
	errAmbiguous    = &pathError{"the readings of the path lead to different decisions"}
	errManyReadings = &pathError{"the path has too many readings"}
	errOwnPath      = &pathError{"the path may be read as one below " + auth.Prefix}
	errBadPath      = &pathError{"the path is malformed"}
)

func ambiguous() error {
	e := web.Refuse(http.StatusBadRequest, "The address can be read in more than one way.")
	return e.Because(errAmbiguous)
}

func refusePath(code int, why *pathError) error { return web.Refuse(code, "").Because(why) }

// noteRefused makes an audit event of a path that was refused.
func (s *exchange) noteRefused(err error) {
	why, ok := errors.AsType[*pathError](err)
	if !ok {
		return
	}
	path := s.in.URL.EscapedPath()
	s.p.audit.Event(s.in.Context(), audit.PathRefused,
		slog.String("request_id", s.info.ID),
		slog.String("client", s.info.Client.String()),
		slog.String("method", s.in.Method),
		slog.String("path", path[:min(len(path), maxLoggedPath)]),
		slog.String("reason", why.Error()),
	)
}

// maxLoggedPath bounds what an audit event repeats of a request.
const maxLoggedPath = 1024
