// Package admin is what an administrator does with a gate: list and end
// sessions, change accounts, copy the database, ask which rule decides.
//
// Each operation is written once, as a method of Backend, and is one entry of
// the table in operations.go. From that entry come the handler of the control
// socket, the client that calls it, and the direct call on the files when no
// server runs.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"gatehouse/proxy"
)

// An Admin runs operations on a gate: on the running server through its
// control socket (Dial), or in this process (Local). Both do the same and
// return the same errors. Safe for concurrent use.
type Admin struct {
	local  *Backend // nil: it is remote
	remote *client  // nil: it is local
}

// Local returns an Admin that works on b in this process. Close closes b.
func Local(b *Backend) *Admin { return &Admin{local: b} }

// What an operation returns when something is missing or in the way. The error
// text names it; use errors.Is.
var (
	ErrNotFound  = errors.New("not found") // matched by ErrNoUser and ErrNoSession too
	ErrNoUser    = fmt.Errorf("account %w", ErrNotFound)
	ErrNoSession = fmt.Errorf("session %w", ErrNotFound)
	ErrExists    = errors.New("exists already")

	// ErrNoServer is returned by Dial, and by Reload and Ready of a local
	// Admin: there is no process that could do it.
	ErrNoServer = errors.New("no server is running")
)

// Reload makes the server read its configuration again. The error is
// config.Problems if the file has mistakes; then the old one stays in force.
func (a *Admin) Reload(ctx context.Context) error {
	_, err := reload.do(ctx, a, none{})
	return err
}

// Ready returns nil if the server can serve visitors, else an error that says
// why not.
func (a *Admin) Ready(ctx context.Context) error {
	st, err := health.do(ctx, a, none{})
	if err == nil && !st.Ready {
		err = errors.New(st.Why)
	}
	return err
}

// Sessions yields the sessions that have not ended and that q selects, sorted
// by ID, in constant memory. It ends with the first error.
func (a *Admin) Sessions(ctx context.Context, q SessionQuery) iter.Seq2[Session, error] {
	return listSessions.do(ctx, a, q)
}

// Count returns the number of sessions in the store, including expired ones
// that were not removed yet. It does not read them.
func (a *Admin) Count(ctx context.Context) (int, error) {
	n, err := countSessions.do(ctx, a, none{})
	return n.Count, err
}

// Session returns the session whose ID begins with id. The error is
// ErrNoSession if there is none, and another one if there are several.
func (a *Admin) Session(ctx context.Context, id string) (Session, error) {
	return showSession.do(ctx, a, byID{id})
}

// Revoke ends sessions and returns how many. The error is ErrNoSession or
// ErrNoUser if which names one that does not exist.
func (a *Admin) Revoke(ctx context.Context, which Revocation) (int, error) {
	n, err := revokeSessions.do(ctx, a, which)
	return n.Count, err
}

// Purge removes expired sessions from the store and returns how many.
func (a *Admin) Purge(ctx context.Context) (int, error) {
	n, err := purgeSessions.do(ctx, a, none{})
	return n.Count, err
}

// Users yields the accounts that q selects: those of the configuration file in
// its order, then those of the database by name. It ends with the first error.
func (a *Admin) Users(ctx context.Context, q UserQuery) iter.Seq2[User, error] {
	return listUsers.do(ctx, a, q)
}

// User returns the account with the number of its sessions. The error is
// ErrNoUser if there is none of that name.
func (a *Admin) User(ctx context.Context, name string) (User, error) {
	return showUser.do(ctx, a, byName{name})
}

// AddUser adds an account to the database. The error is ErrExists if there is
// one of that name.
func (a *Admin) AddUser(ctx context.Context, u NewUser) error {
	_, err := addUser.do(ctx, a, u)
	return err
}

// ChangeUser changes what applications are told of an account of the database,
// and returns the account as it is then. Its sessions go on and show the
// change at their next request.
func (a *Admin) ChangeUser(ctx context.Context, c UserChange) (User, error) {
	return changeUser.do(ctx, a, c)
}

// SetPassword replaces the password hash of an account of the database and
// ends its sessions.
func (a *Admin) SetPassword(ctx context.Context, p NewPassword) error {
	_, err := setPassword.do(ctx, a, p)
	return err
}

// SetDisabled disables an account of the database, which ends its sessions, or
// enables it again.
func (a *Admin) SetDisabled(ctx context.Context, name string, disabled bool) error {
	_, err := setDisabled.do(ctx, a, disabling{name, disabled})
	return err
}

// DeleteUser removes an account from the database and ends its sessions.
func (a *Admin) DeleteUser(ctx context.Context, name string) error {
	_, err := deleteUser.do(ctx, a, byName{name})
	return err
}

// Explain returns which route and rule decide about a request, without making
// it. The error is ErrNoUser if q names an account that does not exist.
func (a *Admin) Explain(ctx context.Context, q ExplainRequest) (proxy.Explanation, error) {
	return explain.do(ctx, a, q)
}

// Backup writes a copy of gatehouse.db, as it is at one moment, to w. It calls
// begin, if it is not nil, with the size of the copy before the first byte. If
// sessions do not lie in gatehouse.db, the error says which tool to use.
func (a *Admin) Backup(ctx context.Context, w io.Writer, begin func(size int64)) error {
	if a.local != nil {
		return a.local.writeBackup(ctx, w, begin)
	}
	return a.remote.backup(ctx, w, begin)
}

// Close releases the connection to the server, or what Local was given.
func (a *Admin) Close() error {
	if a.local == nil {
		return a.remote.close()
	}
	if a.local.Release == nil {
		return nil
	}
	return a.local.Release()
}
