package portal

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/sessions"
)

// openEnd and openEndOthers return the targets of the account page's forms that
// end sessions.
func openEnd(p *Portal) (page, error) { return page{get: toAccount, post: p.postEnd}, nil }

func openEndOthers(p *Portal) (page, error) {
	return page{get: toAccount, post: p.postEndOthers}, nil
}

// postEnd ends one of the visitor's own sessions, named by its handle. For the
// current one it is a logout and requires no password.
func (p *Portal) postEnd(w http.ResponseWriter, r *http.Request) error {
	f, id, err := p.checkForm(w, r)
	if err != nil {
		return err
	}
	if id == nil {
		return p.Challenge(w, r, auth.NeedLogin)
	}
	if f["session"] == id.Session.Handle {
		if err := p.endOwn(w, r, id); err != nil {
			return err
		}
		redirect(w, r, http.StatusSeeOther, prefix+"login")
		return nil
	}
	if ok, err := p.reconfirmed(w, r, id, f); !ok {
		return err
	}
	own, err := p.ownSession(r.Context(), id.Name, f["session"])
	if err != nil {
		return err
	}
	if own.Key != "" { // otherwise it has ended already
		switch _, err := p.o.Sessions.Revoke(r.Context(), own.Key, "revoked"); {
		case errors.Is(err, sessions.ErrNotFound): // it has ended meanwhile
		case err != nil:
			return couldNot("end a session", err)
		default:
			p.event(r, audit.SessionRevoked, slog.String("by", "user"), slog.String("user", id.Name), slog.String("session", own.Handle), slog.String("reason", "revoked"))
		}
	}
	p.leaveNotice(w, r, noticeDevice)
	redirect(w, r, http.StatusSeeOther, prefix)
	return nil
}

// ownSession returns the user's session with that handle; the zero Info if there
// is none. It searches only among the user's own sessions, so that nobody can end
// those of others.
func (p *Portal) ownSession(ctx context.Context, user, handle string) (sessions.Info, error) {
	for info, err := range p.o.Sessions.List(ctx, sessions.Query{User: user}) {
		if err != nil {
			return sessions.Info{}, couldNot("end a session", err)
		}
		if info.Handle == handle {
			return info, nil
		}
	}
	return sessions.Info{}, nil
}

// postEndOthers ends all of the visitor's sessions except the current one.
func (p *Portal) postEndOthers(w http.ResponseWriter, r *http.Request) error {
	f, id, err := p.checkForm(w, r)
	if err != nil {
		return err
	}
	if id == nil {
		return p.Challenge(w, r, auth.NeedLogin)
	}
	if ok, err := p.reconfirmed(w, r, id, f); !ok {
		return err
	}
	if err := p.o.Auth.EndOthers(r, id.Name, id.Session.Key, "revoked"); err != nil {
		return err
	}
	p.leaveNotice(w, r, noticeOthers)
	redirect(w, r, http.StatusSeeOther, prefix)
	return nil
}
