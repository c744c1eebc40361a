package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/auth/account"
	"gatehouse/internal/audit"
	"gatehouse/sessions"
)

// Counts reports whether a session that Identify has found is still valid. It is for
// requests that last, such as streams and WebSockets, and for long operations. It
// makes the same checks as Identify, ends a session that is not valid any more, and
// has the same three outcomes. It returns false for the zero Info.
func (a *Auth) Counts(ctx context.Context, session sessions.Info) (bool, error) {
	if session.Key == "" {
		return false, nil
	}
	info, err := a.o.Sessions.Lookup(ctx, session)
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	_, ok, err := a.owner(ctx, &info)
	return ok, err
}

// Used is RecordActivity for requests that last: it records activity of a session
// that Identify has found earlier. It does nothing for the zero Info, for a session
// that has ended, and if the store does not answer.
func (a *Auth) Used(ctx context.Context, session sessions.Info) {
	if session.Key == "" {
		return
	}
	if info, err := a.o.Sessions.Lookup(ctx, session); err == nil {
		a.o.Sessions.Touch(info)
	}
}

// RecordActivity records that the person did something, which restarts the idle time
// of their session. It does nothing if id is nil or has no session.
func (a *Auth) RecordActivity(id *Identity) {
	if id.HasSession() {
		a.o.Sessions.Touch(id.Session)
	}
}

// Refresh adds a new session cookie to the response header h if the session's cookie
// was signed with an older secret. It does nothing otherwise, or if id is nil or has
// no session. A failure is only logged: the next response tries again.
func (a *Auth) Refresh(r *http.Request, id *Identity, h http.Header) {
	if !id.HasSession() || !id.Session.StaleSignature {
		return
	}
	if err := a.o.Sessions.Refresh(r, h); err != nil {
		a.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "session not signed anew", slog.String("session", id.Session.Handle), slog.Any("error", err))
	}
}

// refOf returns the reference to the account that the session belongs to.
func refOf(info *sessions.Info) account.Ref {
	return account.Ref{Name: info.User, Source: info.Source, Stamp: info.Stamp}
}

// owner returns the account that the session belongs to. ok is false if the session
// is anonymous, or not valid for its account any more; then it is ended. An error
// means that the source could not tell, and ends nothing.
func (a *Auth) owner(ctx context.Context, info *sessions.Info) (_ account.Account, ok bool, err error) {
	if info.User == "" {
		return account.Account{}, false, nil
	}
	owner, err := a.o.Accounts.Current(ctx, refOf(info))
	if reason := endedBy(err); reason != "" {
		a.End(ctx, info, reason)
		return account.Account{}, false, nil
	}
	return owner, err == nil, err
}

// endedBy returns the reason for which a session ends if its source returned err; ""
// if it does not end, because err is nil or the source could not tell.
func endedBy(err error) (reason string) {
	switch {
	case errors.Is(err, account.ErrNoAccount), errors.Is(err, account.ErrDisabled), errors.Is(err, account.ErrOtherSource):
		return "account"
	case errors.Is(err, account.ErrMoved):
		return "password"
	}
	return ""
}

// End ends a session and audits it with the reason. It runs to completion even if ctx
// is cancelled. If the store fails, the error is only logged: the caller treats the
// session as ended, and the next request tries again.
func (a *Auth) End(ctx context.Context, info *sessions.Info, reason string) {
	ctx = context.WithoutCancel(ctx)
	switch _, err := a.o.Sessions.Revoke(ctx, info.Key, reason); {
	case errors.Is(err, sessions.ErrNotFound): // another request was faster
	case err != nil:
		a.o.Log.LogAttrs(ctx, slog.LevelError, "session could not be ended",
			slog.String("session", info.Handle), slog.String("user", info.User), slog.Any("error", err))
	default:
		a.Event(ctx, audit.SessionRevoked, slog.String("user", info.User), slog.String("session", info.Handle), slog.String("reason", reason))
	}
}
