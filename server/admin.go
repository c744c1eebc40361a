package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/secret"
	"gatehouse/proxy"
	"gatehouse/sessions"
)

// Admin is what an administrator does with a gate: on the running server
// through its control socket (Dial), or on the files when no server runs
// (OpenFiles). Safe for concurrent use.
//
// The methods give ErrNotFound and ErrExists for what they name.
type Admin interface {
	// Sessions yields the sessions that live and that q selects, by ID, in
	// constant memory on both sides.
	Sessions(ctx context.Context, q SessionQuery) iter.Seq2[Session, error]
	Session(ctx context.Context, handle string) (Session, error)
	// Count says how many sessions the store holds, expired ones included. It
	// is cheap.
	Count(ctx context.Context) (int, error)
	// Revoke ends sessions, and says how many.
	Revoke(ctx context.Context, which Revocation) (int, error)
	// Purge removes expired sessions, and says how many.
	Purge(ctx context.Context) (int, error)

	// Users yields the accounts that q selects: those of the file, then those
	// of the database by name.
	Users(ctx context.Context, q UserQuery) iter.Seq2[User, error]
	// User gives the account with the number of its sessions.
	User(ctx context.Context, name string) (User, error)
	AddUser(ctx context.Context, u NewUser) error
	// ChangeUser changes what upstreams are told of an account, and gives it
	// as it is then. Its sessions go on, with what it says now.
	ChangeUser(ctx context.Context, c UserChange) (User, error)
	// SetPassword takes a hash; it ends the account's sessions.
	SetPassword(ctx context.Context, p NewPassword) error
	// SetDisabled disables (which ends the account's sessions) or enables.
	SetDisabled(ctx context.Context, name string, disabled bool) error
	// DeleteUser removes the account and ends its sessions.
	DeleteUser(ctx context.Context, name string) error

	// Backup writes a copy of gatehouse.db, as it is at one moment, to w, and
	// tells begin its size before the first byte. An error that says what to do
	// instead where the sessions lie elsewhere.
	Backup(ctx context.Context, w io.Writer, begin func(size int64)) error

	// Explain says which route and rule decide about a request.
	Explain(ctx context.Context, q ExplainRequest) (proxy.Explanation, error)

	Close() error
}

// What an Admin says besides yes.
var (
	ErrNotFound  = errors.New("not found") // in any case one of the next two
	ErrNoUser    = fmt.Errorf("account %w", ErrNotFound)
	ErrNoSession = fmt.Errorf("session %w", ErrNotFound)
	ErrExists    = errors.New("exists already")
)

// A Session is what administrators see of a session; nothing in it opens one.
type Session struct {
	ID      string    `json:"id"` // the public handle
	User    string    `json:"user"`
	Source  string    `json:"source"`
	Login   time.Time `json:"login"`
	Seen    time.Time `json:"last_used"`
	Expires time.Time `json:"expires"`
	Limit   time.Time `json:"ends_at_the_latest,omitzero"`
	Addr    string    `json:"address"`
	Agent   string    `json:"agent"`
}

// A Revocation says which sessions to end: exactly one of the fields is set.
type Revocation struct {
	ID   string `json:"id,omitempty"`
	User string `json:"user,omitempty"`
	All  bool   `json:"all,omitempty"`
}

// A User is what administrators see of an account: everything but the hash.
type User struct {
	Name        string    `json:"name"`
	Email       string    `json:"email,omitempty"`
	DisplayName string    `json:"display_name,omitempty"`
	Groups      []string  `json:"groups,omitempty"`
	Disabled    bool      `json:"disabled"`
	Source      string    `json:"source"`             // file or database
	Sessions    *int      `json:"sessions,omitempty"` // of User alone; nil: could not tell
	Created     time.Time `json:"created,omitzero"`
	Changed     time.Time `json:"changed,omitzero"`
}

// A NewUser is an account to add. Hash is a password hash, never a password;
// it lies behind a type that does not print.
type NewUser struct {
	Name        string   `json:"name"`
	Hash        sentHash `json:"hash"`
	Email       string   `json:"email,omitempty"`
	DisplayName string   `json:"display_name,omitempty"`
	Groups      []string `json:"groups,omitempty"`
}

// A NewPassword replaces an account's hash.
type NewPassword struct {
	Name string   `json:"name"`
	Hash sentHash `json:"hash"`
}

// A ExplainRequest is what explain asks.
type ExplainRequest struct {
	User   string `json:"user,omitempty"` // "": nobody is signed in
	Method string `json:"method"`
	From   string `json:"from,omitempty"` // an IP address; "": unknown
	URL    string `json:"url"`
}

// A sentHash is a secret that goes over the control socket, and nowhere else:
// only its JSON form shows it.
type sentHash struct{ secret.Text }

// Hash marks a password hash as to be sent.
func Hash(t secret.Text) sentHash { return sentHash{t} }

// MarshalJSON writes the hash itself.
func (h sentHash) MarshalJSON() ([]byte, error) { return json.Marshal(h.Reveal()) }

// UnmarshalJSON reads it.
func (h *sentHash) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("read hash: %w", err)
	}
	h.Text = secret.New(s)
	return nil
}

func publicSession(i sessions.Info) Session {
	return Session{
		ID: i.Handle, User: i.User, Source: i.Source, Login: i.Login, Seen: i.Seen,
		Expires: i.Expires, Limit: i.Limit, Addr: i.Addr, Agent: i.Agent,
	}
}

func publicUser(a auth.Account) User {
	return User{
		Name: a.Name, Email: a.Email, DisplayName: a.DisplayName, Groups: a.Groups,
		Disabled: a.Disabled, Source: a.Source, Created: a.Created, Changed: a.Changed,
	}
}

// who asks a source about the user of a Question.
func who(ctx context.Context, accounts auth.Accounts, user string) (*access.Who, error) {
	if user == "" {
		return nil, nil //nolint:nilnil // nobody is a good answer
	}
	a, err := accounts.Account(ctx, user)
	if errors.Is(err, auth.ErrNoAccount) {
		return nil, aboutUser(user, err)
	} else if err != nil {
		return nil, fmt.Errorf("look up %q: %w", user, err)
	}
	return &access.Who{Name: a.Name, Groups: a.Groups}, nil
}
