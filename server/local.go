package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/internal/audit"
	"gatehouse/internal/boltfile"
	"gatehouse/proxy"
	"gatehouse/sessions"
)

// filesAdmin is the Admin that has the files: the running server's own, and the
// command line's when none runs.
type filesAdmin struct {
	site     func() *site
	accounts *auth.Database
	store    sessions.Store
	db       *bbolt.DB
	log      *slog.Logger
	audit    *audit.Log
	close    func() error
}

// OpenFiles gives the Admin of a gate that does not run, by its files. The
// error is boltfile.ErrLocked when it runs after all.
func OpenFiles(c *config.Config, loginHTML string, log *slog.Logger) (Admin, error) {
	st, err := openState(c, log)
	if err != nil {
		return nil, err
	}
	p := shared{
		state: st, hasher: auth.NewHasher(0), throttle: auth.NewThrottle(c.Login.Throttle),
		live: new(proxy.ActiveRequests), loginHTML: loginHTML, log: log, warnings: new(warnings),
	}
	s, err := p.build(c)
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	return &filesAdmin{
		site: func() *site { return s }, accounts: st.accounts, store: st.store, db: st.db, log: log,
		close: func() error { s.retire(); return st.close() },
	}, nil
}

// Runs says whether err means that another process has the files.
func Runs(err error) bool { return errors.Is(err, boltfile.ErrLocked) }

func (l *filesAdmin) Close() error { return l.close() }

func (l *filesAdmin) Sessions(ctx context.Context, q SessionQuery) iter.Seq2[Session, error] {
	return func(yield func(Session, error) bool) {
		now, n := time.Now(), 0
		for i, err := range l.site().sessions.List(ctx, q.inStore()) {
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

func (l *filesAdmin) Count(ctx context.Context) (int, error) { return l.store.Count(ctx) }

func (l *filesAdmin) Session(ctx context.Context, handle string) (Session, error) {
	if handle == "" {
		return Session{}, noSession(handle)
	}
	var found []Session
	for i, err := range l.site().sessions.List(ctx, sessions.Query{Prefix: handle}) {
		if err != nil {
			return Session{}, fmt.Errorf("look up session: %w", err)
		}
		if found = append(found, publicSession(i)); len(found) > 1 {
			return Session{}, fmt.Errorf("%q is short for %s and for %s; write more of it", handle, found[0].ID, found[1].ID)
		}
	}
	if len(found) == 0 {
		return Session{}, noSession(handle)
	}
	return found[0], nil
}

func (l *filesAdmin) Revoke(ctx context.Context, which Revocation) (int, error) {
	n, err := l.revoke(ctx, which)
	if n > 0 {
		l.audit.Event(ctx, audit.SessionRevoked, slog.String("by", "administrator"), slog.Int("count", n),
			slog.String("session", which.ID), slog.String("user", which.User), slog.Bool("all", which.All))
	}
	return n, err
}

func (l *filesAdmin) revoke(ctx context.Context, which Revocation) (int, error) {
	m := l.site().sessions
	switch {
	case which.All:
		return m.RevokeAll(ctx, "revoked")
	case which.User != "":
		n, err := m.RevokeUser(ctx, normal(which.User), "revoked", nil)
		if n > 0 || err != nil {
			return n, err
		}
		if _, err := l.site().accounts.Account(ctx, normal(which.User)); errors.Is(err, auth.ErrNoAccount) {
			return 0, aboutUser(which.User, err) // a name that is mistyped ends nothing
		}
		return 0, nil
	case which.ID == "":
		return 0, errors.New("which session is not said")
	}
	switch _, err := m.Revoke(ctx, which.ID, "revoked"); {
	case errors.Is(err, sessions.ErrNotFound):
		return 0, noSession(which.ID)
	case err != nil:
		return 0, err
	}
	return 1, nil
}

func (l *filesAdmin) Purge(ctx context.Context) (int, error) { return l.site().sessions.Purge(ctx) }

func (l *filesAdmin) Users(ctx context.Context, q UserQuery) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		n := 0
		for a, err := range l.everybody(ctx) {
			if err == nil && !q.selects(&a) {
				continue
			}
			if !yield(publicUser(a), err) || err != nil {
				return
			}
			if n++; n == q.Limit {
				return
			}
		}
	}
}

// everybody yields the accounts of the file, then those of the database.
func (l *filesAdmin) everybody(ctx context.Context) iter.Seq2[auth.Account, error] {
	return func(yield func(auth.Account, error) bool) {
		s := l.site()
		inFile := map[string]bool{}
		for _, u := range s.config.Users {
			a, err := s.accounts.Account(ctx, u.Name)
			if err == nil {
				inFile[a.Name] = true
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
		for a, err := range l.accounts.List(ctx) {
			if err == nil && inFile[a.Name] {
				continue // the file comes first: this one can never sign in
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

func (l *filesAdmin) User(ctx context.Context, name string) (User, error) {
	a, err := l.site().accounts.Account(ctx, normal(name))
	if err != nil {
		return User{}, aboutUser(name, err)
	}
	u := publicUser(a)
	n := 0
	for _, err := range l.site().sessions.List(ctx, sessions.Query{User: a.Name}) {
		if err != nil {
			return u, nil //nolint:nilerr // the account is known, the number is not
		}
		n++
	}
	u.Sessions = &n
	return u, nil
}

func (l *filesAdmin) AddUser(ctx context.Context, u NewUser) error {
	name, err := auth.NormalizeName(u.Name)
	if err != nil {
		return err
	}
	if err := auth.CheckHash(u.Hash.Text); err != nil {
		return fmt.Errorf("password hash: %w", err)
	}
	if err := l.notInFile(ctx, name, "change it"); err != nil {
		return err
	}
	err = l.accounts.Add(ctx, auth.Account{
		Name: name, PasswordHash: u.Hash.Text, Email: u.Email, DisplayName: u.DisplayName, Groups: u.Groups,
	})
	if err != nil {
		return aboutUser(name, err)
	}
	l.audit.Event(ctx, audit.AccountAdded, slog.String("user", name))
	return nil
}

func (l *filesAdmin) ChangeUser(ctx context.Context, c UserChange) (User, error) {
	name := normal(c.Name)
	if err := l.notInFile(ctx, name, "change it"); err != nil {
		return User{}, err
	}
	err := l.accounts.Change(ctx, name, func(a *auth.Account) error { c.apply(a); return nil })
	if err != nil {
		return User{}, aboutUser(name, err)
	}
	l.audit.Event(ctx, audit.AccountChanged, slog.String("user", name), slog.String("by", "administrator"))
	return l.User(ctx, name)
}

func (l *filesAdmin) SetPassword(ctx context.Context, p NewPassword) error {
	if err := auth.CheckHash(p.Hash.Text); err != nil {
		return fmt.Errorf("password hash: %w", err)
	}
	name := normal(p.Name)
	if err := l.notInFile(ctx, name, "write what gatehouse hash prints as its password_hash"); err != nil {
		return err
	}
	if _, err := l.accounts.SetPassword(ctx, name, p.Hash.Text); err != nil {
		return aboutUser(name, err)
	}
	l.audit.Event(ctx, audit.PasswordChanged, slog.String("user", name), slog.String("by", "administrator"))
	return l.endSessions(ctx, name, "password")
}

func (l *filesAdmin) SetDisabled(ctx context.Context, name string, disabled bool) error {
	name = normal(name)
	how := "write disabled: true"
	if !disabled {
		how = "take disabled: true away"
	}
	if err := l.notInFile(ctx, name, how); err != nil {
		return err
	}
	err := l.accounts.Change(ctx, name, func(a *auth.Account) error { a.Disabled = disabled; return nil })
	if err != nil {
		return aboutUser(name, err)
	}
	if !disabled {
		l.audit.Event(ctx, audit.AccountEnabled, slog.String("user", name))
		return nil
	}
	l.audit.Event(ctx, audit.AccountDisabled, slog.String("user", name))
	return l.endSessions(ctx, name, "account")
}

func (l *filesAdmin) DeleteUser(ctx context.Context, name string) error {
	name = normal(name)
	if err := l.notInFile(ctx, name, "take it out"); err != nil {
		return err
	}
	if err := l.accounts.Delete(ctx, name); err != nil {
		return aboutUser(name, err)
	}
	l.audit.Event(ctx, audit.AccountDeleted, slog.String("user", name))
	return l.endSessions(ctx, name, "account")
}

func (l *filesAdmin) Explain(ctx context.Context, q ExplainRequest) (proxy.Explanation, error) {
	s := l.site()
	person, err := who(ctx, s.accounts, normal(q.User))
	if err != nil {
		return proxy.Explanation{}, err
	}
	var client netip.Addr
	if q.From != "" {
		if client, err = netip.ParseAddr(q.From); err != nil {
			return proxy.Explanation{}, fmt.Errorf("--from %q is no IP address", q.From)
		}
	}
	e := s.proxy.Explain(ctx, proxy.ExplainRequest{Method: q.Method, URL: q.URL, Client: client, Who: person})
	if at := e.RouteAt(); at >= 0 {
		if line := s.config.RuleLine(at, e.Rule); line > 0 {
			e.Line = fmt.Sprintf("%s:%d", s.config.File, line)
		}
	}
	return e, nil
}

// endSessions ends what the account's stamp would end at the next request
// anyway, so that the lists show it at once.
func (l *filesAdmin) endSessions(ctx context.Context, name, reason string) error {
	if _, err := l.site().sessions.RevokeUser(ctx, name, reason, nil); err != nil {
		return fmt.Errorf("end sessions of %q: %w", name, err)
	}
	return nil
}

// notInFile refuses to change in the database what the file decides, and says
// what to write there instead.
func (l *filesAdmin) notInFile(ctx context.Context, name, instead string) error {
	a, err := l.site().accounts.Account(ctx, name)
	if err == nil && a.Source == "file" {
		return fmt.Errorf("%q is an account of the configuration file: %s, then run gatehouse reload", name, l.site().inUsers(name, instead))
	}
	if err != nil && !errors.Is(err, auth.ErrNoAccount) {
		return aboutUser(name, err)
	}
	return nil
}

// inUsers says where in the configuration to do something with an account.
func (s *site) inUsers(name, what string) string {
	file := s.config.File
	if file == "" {
		file = "the configuration"
	}
	for i, u := range s.config.Users {
		if normal(u.Name) == name {
			return fmt.Sprintf("%s at users[%d] in %s", what, i, file)
		}
	}
	return fmt.Sprintf("%s in users of %s", what, file)
}

// normal gives the stored spelling of a name; what is no name stays, and is
// not found.
func normal(name string) string {
	if n, err := auth.NormalizeName(name); err == nil {
		return n
	}
	return name
}

func aboutUser(name string, err error) error {
	switch {
	case errors.Is(err, auth.ErrNoAccount):
		return &goneError{fmt.Sprintf("there is no account %q", name), ErrNoUser}
	case errors.Is(err, auth.ErrAccountExists):
		return fmt.Errorf("account %q %w", name, ErrExists)
	default:
		return fmt.Errorf("user %q: %w", name, err)
	}
}

// A goneError says in a sentence what is not there.
type goneError struct {
	text string
	is   error
}

func (e *goneError) Error() string { return e.text }
func (e *goneError) Unwrap() error { return e.is }

func noSession(id string) error {
	return &goneError{fmt.Sprintf("there is no session %q, or it has ended", id), ErrNoSession}
}
