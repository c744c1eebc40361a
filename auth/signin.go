package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"

	"gatehouse/auth/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// A SignIn describes a login of somebody who has proved that an account is theirs.
type SignIn struct {
	Account  account.Account // as it was when the proof was checked
	Methods  []string        // how they proved it, in the names of RFC 8176; nil: by a password
	Level    int             // the number of factors; 0 means 1
	Remember bool            // keep them signed in, where that is offered
	Spent    []string        // keys of the anonymous session's data to delete; other data stay
}

// SignIn makes the visitor's session that of an account, always under a new id, and
// adds its cookie to the response header. It also sets the device cookie; see
// Cookies.Device. The outcome is counted and audited here.
//
// The error is ErrWrong if the account has changed since the proof was checked; any
// other error means that the session could not be stored or confirmed. After an
// error nobody is signed in.
func (a *Auth) SignIn(w http.ResponseWriter, r *http.Request, in SignIn) error {
	info, err := a.newSession(w, r, in)
	if err == nil {
		err = a.confirmed(r.Context(), &info)
	}
	switch {
	case errors.Is(err, account.ErrMoved):
		return a.wrong(r, in.Account.Name, "the account was changed meanwhile")
	case err != nil:
		a.o.Metrics.Login("error")
		return err
	}
	a.o.Cookies.SetDevice(w, r, in.Account.Name)
	about := web.From(r.Context())
	about.User, about.Session = in.Account.Name, info.Handle
	a.o.Metrics.Login("success")
	attrs := []slog.Attr{slog.String("user", in.Account.Name), slog.String("source", in.Account.Source), slog.String("session", info.Handle)}
	if in.Methods != nil {
		attrs = append(attrs, slog.Any("methods", in.Methods))
	}
	a.Event(r.Context(), audit.LoginSuccess, attrs...)
	return nil
}

// Renew gives the session of somebody who has just changed their password a new id
// and the account's new stamp, and ends their other sessions. changed is the account
// with the new stamp. Another request of the same browser may have seen the new stamp
// first and ended the session; then a new one begins, because the password was just
// given. The error is account.ErrMoved if the account has changed again.
func (a *Auth) Renew(w http.ResponseWriter, r *http.Request, changed account.Account) error {
	s := a.o.Sessions.Open(r)
	err := s.Renew(r.Context(), changed.Stamp)
	var info sessions.Info
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		info, err = a.newSession(w, r, SignIn{Account: changed})
	case err == nil:
		info, err = a.commit(w, r, s)
	}
	if err != nil {
		return unsure("renew the session", err)
	}
	if err := a.confirmed(r.Context(), &info); err != nil {
		return err
	}
	return a.EndOthers(r, changed.Name, info.Key, "password")
}

// EndOthers ends all sessions of the user except the one with the key, and audits how
// many there were. The error is a 503 if the store fails; some may have ended then.
func (a *Auth) EndOthers(r *http.Request, user, key, reason string) error {
	n, err := a.o.Sessions.RevokeUser(r.Context(), user, reason, func(i sessions.Info) bool { return i.Key == key })
	if err != nil {
		return couldNot("end sessions", err)
	}
	if n > 0 {
		a.Event(r.Context(), audit.SessionRevoked, slog.String("by", "user"), slog.String("user", user), slog.Int("count", n), slog.String("reason", reason))
	}
	return nil
}

// newSession stores the session of a login and adds its cookie to the response
// header. Anonymous data of the visitor's session is taken over, except in.Spent.
func (a *Auth) newSession(w http.ResponseWriter, r *http.Request, in SignIn) (sessions.Info, error) {
	s := a.o.Sessions.Open(r)
	for _, key := range in.Spent {
		if err := s.Delete(r.Context(), key); err != nil {
			return sessions.Info{}, couldNot("sign in", err)
		}
	}
	err := s.Login(r.Context(), sessions.Login{
		User: in.Account.Name, Source: in.Account.Source, Stamp: in.Account.Stamp,
		Addr: addr(client(r)), Agent: r.UserAgent(), Remember: in.Remember, Methods: in.Methods, Level: in.Level,
	})
	if err != nil {
		return sessions.Info{}, couldNot("sign in", err)
	}
	info, err := a.commit(w, r, s)
	if err != nil {
		return sessions.Info{}, couldNot("sign in", err)
	}
	return info, nil
}

// commit stores the session and adds its cookie to the response header.
func (a *Auth) commit(w http.ResponseWriter, r *http.Request, s *sessions.Session) (sessions.Info, error) {
	info, err := s.Info(r.Context())
	if err == nil {
		err = a.o.Sessions.Commit(s, w.Header(), http.StatusSeeOther)
	}
	return info, err
}

// confirmed ends a session that was just stored, and returns account.ErrMoved, if the
// account has changed since the password was checked. A change of an account first
// stores the account and then ends its sessions; a login first stores the session and
// then confirms the account. In this order, one of the two always sees the other, and
// no session survives a change. Do not reorder.
func (a *Auth) confirmed(ctx context.Context, info *sessions.Info) error {
	_, err := a.o.Latest().Confirm(ctx, refOf(info))
	switch reason := endedBy(err); {
	case reason != "":
		a.End(ctx, info, reason)
		return account.ErrMoved
	case err != nil:
		a.End(ctx, info, "account")
		return couldNot("look up an account", err)
	}
	return nil
}

// addr returns the text of an address; "" for the zero Addr.
func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
