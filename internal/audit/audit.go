// Package audit writes the events that an operator wants to find again: who
// signed in, who did not, whose session was ended by whom. The events go to a
// logger of their own, with the attribute log=audit, so that they can be told
// apart and kept longer.
package audit

import (
	"context"
	"log/slog"
)

// The events. Their names are part of the contract: log watchers (fail2ban,
// alert rules) match them.
const (
	LoginSuccess    = "login.success"
	LoginFailure    = "login.failure"
	LoginThrottled  = "login.throttled"
	LoginSpraying   = "login.spraying"
	Logout          = "logout"
	SessionRevoked  = "session.revoked"
	SessionExpired  = "session.expired"
	SessionRejected = "session.rejected"
	PasswordChanged = "password.changed"
	AccountAdded    = "account.added"
	AccountChanged  = "account.changed"
	AccountDisabled = "account.disabled"
	AccountEnabled  = "account.enabled"
	AccountDeleted  = "account.deleted"
	AccessDenied    = "access.denied"
	PathRefused     = "path.refused" // a path that could be read in more than one way
	CSRFFailure     = "csrf.failure"
	ConfigReloaded  = "config.reloaded"
)

// A Log takes events. A nil *Log drops them; all methods may be called at
// once.
type Log struct{ l *slog.Logger }

// New gives a Log that writes to l.
func New(l *slog.Logger) *Log { return &Log{l: l.With("log", "audit")} }

// Event writes one event. The attributes never hold a password, a cookie, a
// token or a query string; names that a client typed are escaped by slog's
// handlers. The event is written also when ctx is done: it has happened.
func (a *Log) Event(ctx context.Context, event string, attrs ...slog.Attr) {
	if a == nil {
		return
	}
	a.l.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, event, attrs...) //nolint:sloglint // the events are the constants above
}
