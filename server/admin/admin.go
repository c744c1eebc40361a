// Package admin implements what an administrator does with a gate: list and end
// sessions, change accounts, back up the database, explain which rule decides
// about a request.
//
// Each operation is written once, as a method of Backend, and has one entry in
// the table in operations.go. That entry is the source of the handler on the
// control socket, of the client that calls it, and of the direct call on the
// files when no server runs.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"gatehouse/proxy"
)

// An Admin runs operations on a gate: on the running server through its control
// socket (Dial), or on the files in this process (Local). Both return the same
// results and the same errors, except that Reload and Ready need a server. It is
// safe for concurrent use. Call Close when done.
type Admin struct {
	local  *Backend // nil if it is remote
	remote *client  // nil if it is local
}

// Local returns an Admin that works on b in this process. Closing it calls
// b.Release.
func Local(b *Backend) *Admin { return &Admin{local: b} }

// The errors of operations on something that is missing or that exists already.
// An operation returns an error that names the thing and matches one of these
// with errors.Is, also through the control socket.
var (
	ErrNotFound  = errors.New("not found") // matched by ErrNoUser and ErrNoSession too
	ErrNoUser    = fmt.Errorf("account %w", ErrNotFound)
	ErrNoSession = fmt.Errorf("session %w", ErrNotFound)
	ErrExists    = errors.New("exists already")

	// ErrNoServer is returned by Dial if no process listens on the control
	// socket, and by Reload and Ready of a local Admin, which has no process to
	// reload or to ask.
	ErrNoServer = errors.New("no server is running")
)

// Reload makes the server read its configuration again, all or nothing. The error
// is config.Problems if the file has mistakes; the old configuration then stays
// in force. A local Admin returns ErrNoServer.
func (a *Admin) Reload(ctx context.Context) error {
	_, err := reload.do(ctx, a, none{})
	return err
}

// Ready returns nil if the server can serve visitors, and otherwise an error that
// says why not. A local Admin returns ErrNoServer.
func (a *Admin) Ready(ctx context.Context) error {
	st, err := health.do(ctx, a, none{})
	if err == nil && !st.Ready {
		err = errors.New(st.Why)
	}
	return err
}

// Sessions yields the live sessions that q selects, sorted by ID, in constant
// memory. After the first error it stops. Nothing is read before the first
// session is asked for.
func (a *Admin) Sessions(ctx context.Context, q SessionQuery) iter.Seq2[Session, error] {
	return listSessions.do(ctx, a, q)
}

// Count returns the number of sessions in the store, including expired ones that
// have not been removed yet. It does not read them, so it is fast but an upper
// bound of what Sessions yields.
func (a *Admin) Count(ctx context.Context) (int, error) {
	n, err := countSessions.do(ctx, a, none{})
	return n.Count, err
}

// Session returns the live session whose ID is id or begins with it. The error is
// ErrNoSession if there is none or id is empty; if several begin with it, the
// error names two of them.
func (a *Admin) Session(ctx context.Context, id string) (Session, error) {
	return showSession.do(ctx, a, byID{id})
}

// Revoke ends the sessions that which selects and returns how many it ended. The
// error is ErrNoSession for an unknown ID and ErrNoUser for an unknown account.
// An account without sessions is no error: the number is 0. After another error,
// some of the sessions may have ended.
func (a *Admin) Revoke(ctx context.Context, which Revocation) (int, error) {
	n, err := revokeSessions.do(ctx, a, which)
	return n.Count, err
}

// Purge removes expired sessions from the store and returns how many it removed.
// A running server does this by itself every few minutes.
func (a *Admin) Purge(ctx context.Context) (int, error) {
	n, err := purgeSessions.do(ctx, a, none{})
	return n.Count, err
}

// Users yields the accounts that q selects: those of the configuration file in
// the file's order, then those of the database by name. After the first error it
// stops. Their sessions are not counted; see User.
func (a *Admin) Users(ctx context.Context, q UserQuery) iter.Seq2[User, error] {
	return listUsers.do(ctx, a, q)
}

// User returns one account and the number of its sessions. name may be in any
// spelling that account.NormalizeName accepts. The error is ErrNoUser if there is
// no such account.
func (a *Admin) User(ctx context.Context, name string) (User, error) {
	return showUser.do(ctx, a, byName{name})
}

// AddUser adds an account to the database; it can sign in at once. The error is
// ErrExists if the database has the name, and one that says what to do if the
// configuration file has it.
func (a *Admin) AddUser(ctx context.Context, u NewUser) error {
	_, err := addUser.do(ctx, a, u)
	return err
}

// ChangeUser changes what applications are told about an account of the database,
// and returns the account as it is afterwards. Its sessions stay and show the
// change from their next request on. The error is ErrNoUser if there is no such
// account; an account of the configuration file cannot be changed here.
func (a *Admin) ChangeUser(ctx context.Context, c UserChange) (User, error) {
	return changeUser.do(ctx, a, c)
}

// SetPassword replaces the password hash of an account of the database and ends
// its sessions. The error is ErrNoUser if there is no such account.
func (a *Admin) SetPassword(ctx context.Context, p NewPassword) error {
	_, err := setPassword.do(ctx, a, p)
	return err
}

// SetDisabled disables an account of the database, which also ends its sessions,
// or enables it again. The error is ErrNoUser if there is no such account.
func (a *Admin) SetDisabled(ctx context.Context, name string, disabled bool) error {
	_, err := setDisabled.do(ctx, a, disabling{name, disabled})
	return err
}

// DeleteUser removes an account from the database and ends its sessions. The
// error is ErrNoUser if there is no such account.
func (a *Admin) DeleteUser(ctx context.Context, name string) error {
	_, err := deleteUser.do(ctx, a, byName{name})
	return err
}

// Explain returns which route and which rule decide about the request that q
// describes, and why. No request is sent. The error is ErrNoUser if q names an
// account that does not exist; a request that the gate would refuse is no error.
func (a *Admin) Explain(ctx context.Context, q ExplainRequest) (proxy.Explanation, error) {
	return explain.do(ctx, a, q)
}

// Backup writes a consistent copy of gatehouse.db to w. Before the first byte it
// calls begin with the size of the copy in bytes; begin may be nil. If sessions
// are kept elsewhere, nothing is written and the error names the tool to use (see
// Elsewhere). After an error w holds an incomplete copy.
func (a *Admin) Backup(ctx context.Context, w io.Writer, begin func(size int64)) error {
	if a.local != nil {
		return a.local.writeBackup(ctx, w, begin)
	}
	return a.remote.backup(ctx, w, begin)
}

// Close releases the connections to the server, or calls Release of a local
// Backend. The Admin must not be used afterwards.
func (a *Admin) Close() error {
	if a.local == nil {
		return a.remote.close()
	}
	if a.local.Release == nil {
		return nil
	}
	return a.local.Release()
}
