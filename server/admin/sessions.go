package admin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"gatehouse/auth/account"
	"gatehouse/internal/audit"
	"gatehouse/sessions"
)

// A Session is what administrators see of a session. It holds nothing with which
// anybody could use the session.
type Session struct {
	ID      string    `json:"id"` // the public handle, which opens nothing
	User    string    `json:"user"`
	Source  string    `json:"source"` // where the account is: file or database
	Login   time.Time `json:"login"`
	Seen    time.Time `json:"last_used"`
	Expires time.Time `json:"expires"`                     // when it ends, if it is not used before
	Limit   time.Time `json:"ends_at_the_latest,omitzero"` // when it ends even if it is used; zero: no such limit
	Addr    string    `json:"address"`                     // from which the user signed in; "": unknown
	Agent   string    `json:"agent"`                       // the User-Agent at that time; "": it sent none
	Hosts   []string  `json:"hosts,omitempty"`             // the applications' hosts that it spans, sorted, with login.host
}

// publicSession returns what administrators may see of a session.
func publicSession(i sessions.Info) Session {
	return Session{
		ID: i.Handle, User: i.User, Source: i.Source, Login: i.Login, Seen: i.Seen,
		Expires: i.Expires, Limit: i.Limit, Addr: i.Addr, Agent: i.Agent, Hosts: i.HostNames(),
	}
}

// A Revocation says which sessions to end. Set exactly one field; the zero value
// is an error. If several are set, All wins, then User.
type Revocation struct {
	ID   string `json:"id,omitempty"`   // the session with this ID
	User string `json:"user,omitempty"` // all sessions of the account with this name
	All  bool   `json:"all,omitempty"`  // all sessions of all accounts
}

// A SessionQuery selects sessions: those that match every field that is set. The
// zero value selects all.
type SessionQuery struct {
	User      string        `json:"user,omitempty"`
	Source    string        `json:"source,omitempty"`     // file or database
	Network   netip.Prefix  `json:"network,omitzero"`     // from which the user signed in
	IdleFor   time.Duration `json:"idle_for,omitempty"`   // not used for at least this long
	OlderThan time.Duration `json:"older_than,omitempty"` // signed in at least this long ago
	Prefix    string        `json:"prefix,omitempty"`     // of the ID
	After     string        `json:"after,omitempty"`      // only greater IDs: the next page
	Limit     int           `json:"limit,omitempty"`      // at most this many; 0: all
}

// inStore returns the part of the query that the store answers from its indexes;
// selects checks the rest.
func (q *SessionQuery) inStore() sessions.Query {
	s := sessions.Query{Prefix: q.Prefix}
	if q.User != "" {
		s.User = normalize(q.User)
	}
	if q.After != "" {
		// An ID is the beginning of a key; this is the last key that has it.
		s.After = q.After + strings.Repeat("f", max(0, keyLen-len(q.After)))
	}
	return s
}

// keyLen is the number of hexadecimal digits of a session's key in the store. An
// ID is the beginning of a key.
const keyLen = 64

// selects reports whether i matches the part of the query that the store does not
// answer. A session of unknown address matches no network.
func (q *SessionQuery) selects(i *sessions.Info, now time.Time) bool {
	switch {
	case q.Source != "" && i.Source != q.Source,
		q.IdleFor > 0 && now.Sub(i.Seen) < q.IdleFor,
		q.OlderThan > 0 && now.Sub(i.Login) < q.OlderThan:
		return false
	}
	if !q.Network.IsValid() {
		return true
	}
	addr, err := netip.ParseAddr(i.Addr)
	return err == nil && q.Network.Contains(addr.Unmap().WithZone(""))
}

// sessions yields the live sessions that q selects, in the order of the store: by
// ID.
func (b *Backend) sessions(ctx context.Context, q SessionQuery) iter.Seq2[Session, error] {
	return func(yield func(Session, error) bool) {
		now, n := time.Now(), 0
		for i, err := range b.Site().Sessions.List(ctx, q.inStore()) {
			if err == nil && !q.selects(&i, now) {
				continue
			}
			if !yield(publicSession(i), err) || err != nil {
				return
			}
			if n++; n == q.Limit {
				return
			}
		}
	}
}

// count returns the number of sessions in the store, expired ones included.
func (b *Backend) count(ctx context.Context, _ none) (count, error) {
	n, err := b.Store.Count(ctx)
	return count{n}, err
}

// session returns the one session whose ID begins with q.ID. It reads no further
// than the second one that does.
func (b *Backend) session(ctx context.Context, q byID) (Session, error) {
	if q.ID == "" {
		return Session{}, noSession(q.ID)
	}
	var found []Session
	for i, err := range b.Site().Sessions.List(ctx, sessions.Query{Prefix: q.ID}) {
		if err != nil {
			return Session{}, fmt.Errorf("look up session: %w", err)
		}
		if found = append(found, publicSession(i)); len(found) > 1 {
			return Session{}, fmt.Errorf("%q is short for %s and for %s; write more of it", q.ID, found[0].ID, found[1].ID)
		}
	}
	if len(found) == 0 {
		return Session{}, noSession(q.ID)
	}
	return found[0], nil
}

// revoke ends sessions. What was ended is audited also if an error ended the
// work.
func (b *Backend) revoke(ctx context.Context, which Revocation) (count, error) {
	n, err := b.endSessions(ctx, which)
	if n > 0 {
		b.Audit.Event(ctx, audit.SessionRevoked, slog.String("by", "administrator"), slog.Int("count", n),
			slog.String("session", which.ID), slog.String("user", which.User), slog.Bool("all", which.All))
	}
	return count{n}, err
}

// endSessions ends the sessions that which selects and returns how many it ended,
// also with an error.
func (b *Backend) endSessions(ctx context.Context, which Revocation) (int, error) {
	site := b.Site()
	switch {
	case which.All:
		return site.Sessions.RevokeAll(ctx, "revoked")
	case which.User != "":
		name := normalize(which.User)
		n, err := site.Sessions.RevokeUser(ctx, name, "revoked", nil)
		if n > 0 || err != nil {
			return n, err
		}
		if _, err := site.Accounts.Account(ctx, name); errors.Is(err, account.ErrNoAccount) {
			return 0, userError(which.User, err) // a mistyped name must not look like success
		}
		return 0, nil
	case which.ID == "":
		return 0, errors.New("which session is not said")
	}
	switch _, err := site.Sessions.Revoke(ctx, which.ID, "revoked"); {
	case errors.Is(err, sessions.ErrNotFound):
		return 0, noSession(which.ID)
	case err != nil:
		return 0, err
	}
	return 1, nil
}

// purge removes expired sessions from the store.
func (b *Backend) purge(ctx context.Context, _ none) (count, error) {
	n, err := b.Site().Sessions.DeleteExpired(ctx)
	return count{n}, err
}

// noSession returns the error about an unknown ID, which matches ErrNoSession.
func noSession(id string) error {
	return &operationError{fmt.Sprintf("there is no session %q, or it has ended", id), ErrNoSession}
}
