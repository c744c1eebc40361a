package proxy

import (
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/web"
)

// A pathError is the reason why a path is refused. It is logged and audited, not
// shown.
type pathError struct{ why string }

// Error implements error.
func (e *pathError) Error() string { return e.why }

// The reasons why paths are refused.
var (
	errAmbiguous    = &pathError{"the readings of the path lead to different decisions"}
	errManyReadings = &pathError{"the path has too many readings"}
	errOwnPath      = &pathError{"the path may be read as one below " + auth.Prefix}
	errBadPath      = &pathError{"the path is malformed"}
)

// ambiguous returns the 400 for a path whose interpretations lead to different
// decisions.
func ambiguous() error {
	e := web.Refuse(http.StatusBadRequest, "The address can be read in more than one way.")
	return e.Because(errAmbiguous)
}

// refusePath returns a refusal with the status code and the reason for the log.
func refusePath(code int, why *pathError) error { return web.Refuse(code, "").Because(why) }

// noteRefused records why a request was refused before a rule was evaluated: a path
// as an audit event, the script of a service worker as a warning. Other errors
// appear only in the access log.
func (p *Proxy) noteRefused(r *incoming, err error) {
	if errors.Is(err, errWorker) {
		p.log.LogAttrs(r.in.Context(), slog.LevelWarn, "service worker refused",
			slog.String("request_id", r.info.ID), slog.String("client", r.info.Client.String()), slog.String("route", r.info.Route),
			slog.String("path", r.target.path[:min(len(r.target.path), 256)]), slog.String("key", "service_workers"), slog.Any("reason", errWorker))
		return
	}
	why, ok := errors.AsType[*pathError](err)
	if !ok {
		return
	}
	path := r.in.URL.EscapedPath()
	p.audit.Event(r.in.Context(), audit.PathRefused,
		slog.String("request_id", r.info.ID),
		slog.String("client", r.info.Client.String()),
		slog.String("method", r.in.Method),
		slog.String("path", path[:min(len(path), maxLoggedPath)]),
		slog.String("reason", why.Error()),
	)
}

// maxLoggedPath is how many bytes of a path an audit event contains.
const maxLoggedPath = 1024
