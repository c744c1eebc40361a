package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// A Way identifies people by one kind of proof that a request can carry, such as the
// cookie of a session. Safe for concurrent use.
type Way interface {
	// Identify returns the identity that the request proves. It returns nil, nil if
	// the request carries no such proof, or an invalid one; then the next way is
	// asked. An error means that the way could not tell. It ends the search and
	// becomes a 503, never a pass.
	Identify(r *http.Request) (*Identity, error)
}

// Identify returns the person that the request comes from; nil, nil if that is
// nobody. An error means that it could not tell; it is a *web.Error with status 503
// and must never become a pass or a logout. The first way that knows the request
// decides.
//
// It records the name and the session for the access log. It does not extend the
// session; see RecordActivity.
func (a *Auth) Identify(r *http.Request) (*Identity, error) {
	for _, way := range a.ways {
		id, err := way.Identify(r)
		switch {
		case err != nil:
			return nil, web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("identify: %w", err))
		case id != nil:
			info := web.From(r.Context())
			info.User, info.Session = id.Name, id.Session.Handle
			return id, nil
		}
	}
	return nil, nil //nolint:nilnil // nobody: the second of three outcomes
}

// bySession is the Way for browsers: the cookie of a session.
type bySession struct{ a *Auth }

// Identify implements Way. A session whose account was deleted, is disabled, or has
// another password than at login is ended and proves nothing. Of two different valid
// cookies, one was planted, so neither is used.
func (s bySession) Identify(r *http.Request) (*Identity, error) {
	id := new(Identity)
	var err error
	id.Session, err = s.a.o.Sessions.Find(r)
	switch {
	case errors.Is(err, sessions.ErrTwoSessions):
		info := web.From(r.Context())
		s.a.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "two session cookies of ours that differ, so that neither counts: another host of the domain may have planted one",
			slog.String("request_id", info.ID), slog.String("client", info.Client.String()), slog.String("host", Clip(info.Host)))
		return nil, nil //nolint:nilnil // nobody, as far as can be told
	case errors.Is(err, sessions.ErrNotFound):
		return nil, nil //nolint:nilnil // no session
	case err != nil:
		return nil, err
	}
	account, ok, err := s.a.owner(r.Context(), &id.Session)
	if err != nil || !ok {
		return nil, err
	}
	id.Name, id.Email, id.DisplayName = account.Name, account.Email, account.DisplayName
	id.Groups, id.Source = account.Groups, account.Source
	id.Methods, id.Level, id.AuthTime = id.Session.Methods, id.Session.Level, id.Session.AuthTime
	return id, nil
}

// A Need is what a request lacks to be allowed; see portal.Portal.Challenge.
type Need int

// NeedLogin means that the visitor must sign in. It is the zero value, because
// everything else requires a login first.
const NeedLogin Need = 0
