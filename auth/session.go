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

// Counts reports whether somebody is still signed in with a session that
// Identify has found, for what goes on for longer than one request takes to be
// judged. It asks what Identify asks, ends what Identify ends, and has the same
// three outcomes. The zero Info is nobody's session.
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

// Used records a use of a session that Identify has found, as RecordActivity
// does, for what goes on for longer than a request takes. The zero Info is no
// session, and nothing is recorded.
func (a *Auth) Used(ctx context.Context, session sessions.Info) {
	if session.Key == "" {
		return
	}
	if info, err := a.o.Sessions.Lookup(ctx, session); err == nil {
		a.o.Sessions.Touch(info)
	}
}

// RecordActivity records that the person did something: the idle time of their
// session begins again. It does nothing for nobody (nil), and for an identity
// without a session.
func (a *Auth) RecordActivity(id *Identity) {
	if id.HasSession() {
		a.o.Sessions.Touch(id.Session)
	}
}

// Refresh puts a new cookie into the answer with the header h if the session's
// was signed with an older secret. Most need none, and an identity without a
// session never does. A failure is logged: the next answer tries again.
func (a *Auth) Refresh(r *http.Request, id *Identity, h http.Header) {
	if !id.HasSession() || !id.Session.StaleSignature {
		return
	}
	if err := a.o.Sessions.Refresh(r, h); err != nil {
		a.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "session not signed anew", slog.String("session", id.Session.Handle), slog.Any("error", err))
	}
}

// refOf returns the account that the session belongs to.
func refOf(info *sessions.Info) account.Ref {
	return account.Ref{Name: info.User, Source: info.Source, Stamp: info.Stamp}
}

// owner returns the account of the session's user if the session still counts.
// One that does not any more is ended.
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

// endedBy returns why a session ends whose source has returned err; "" when it
// does not: its account counts, or the source could not tell.
func endedBy(err error) (reason string) {
	switch {
	case errors.Is(err, account.ErrNoAccount), errors.Is(err, account.ErrDisabled), errors.Is(err, account.ErrOtherSource):
		return "account"
	case errors.Is(err, account.ErrMoved):
		return "password"
	}
	return ""
}

// End ends somebody's session. If the store fails, the session has ended all
// the same for this request, and the next one tries again.
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
