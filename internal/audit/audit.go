// Package audit writes the events that an operator wants to find again: who signed in,
// who failed to, who ended whose session. They go to a logger of their own, with the
// attribute log=audit, so that they can be told apart from other lines and kept longer.
package audit

import (
	"context"
	"log/slog"
)

// The events. Their names must not change: log watchers such as fail2ban, and alert rules,
// match them.
const (
	LoginSuccess    = "login.success"
	LoginFailure    = "login.failure"
	LoginThrottled  = "login.throttled"
	LoginSpraying   = "login.spraying"
	FactorFailure   = "factor.failure"
	Logout          = "logout"
	SessionEntered  = "session.entered" // a host of an application, by a code of the login host
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
	PathRefused     = "path.refused" // a path that has interpretations with different decisions
	CSRFFailure     = "csrf.failure"
	ConfigReloaded  = "config.reloaded"
)

// A Log writes events. A nil *Log drops them. It is safe for concurrent use.
type Log struct{ l *slog.Logger }

// New returns a Log that writes to l.
func New(l *slog.Logger) *Log { return &Log{l: l.With("log", "audit")} }

// Event writes an event. attrs must never hold a password, a cookie, a token or a query
// string; names that a client sent are escaped by the handlers of slog. The event is
// written even if ctx is done, because it has happened.
func (a *Log) Event(ctx context.Context, event string, attrs ...slog.Attr) {
	if a == nil {
		return
	}
	a.l.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, event, attrs...) //nolint:sloglint // the events are the constants above
}
