package sessions

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"time"
)

// Options are what a Manager is made of. Store and Secrets are required.
type Options struct {
	Store   Store
	Secrets [][]byte // 32 bytes or more each; the first signs and seals, all verify and open

	Cookie   Cookie
	Age      time.Duration // a session lives this long after its last use (Django's SESSION_COOKIE_AGE); 0: until Limit alone
	Limit    time.Duration // a session lives this long after login, whatever its use; 0: no such limit
	Remember time.Duration // the Limit of a session with Login.Remember, which has no Age; 0: Remember counts for nothing
	Browser  bool          // cookies of browser length, unless the session says otherwise
	Max      int           // sessions a user may have; a login over it ends the oldest; 0: no limit

	// TouchEvery is how often a use is written to the store, at most; 0: one
	// tenth of Age, at least a second and at most a minute.
	TouchEvery time.Duration

	// Ended is told of each session that this Manager ends: logout, expired,
	// revoked, password, account, limit, replaced. It must not block. May be nil.
	Ended func(i Info, reason string)

	Log *slog.Logger // nil: nothing is logged
}

// A Cookie says how the session's cookie looks. The zero value of each field
// is the safe one.
type Cookie struct {
	Name     string        // without the prefix __Host-; "" is gatehouse
	Domain   string        // "": this host only
	SameSite http.SameSite // 0 is Lax
	// Secure says whether the answer to r carries a Secure cookie. It decides
	// the name as well: Secure and no Domain is __Host-Name. nil: always.
	Secure func(r *http.Request) bool
}

// An Info is what may be known of a session without its id: it opens nothing.
type Info struct {
	Key     string // under which the store has it
	Handle  string // what people call it: the first 16 digits of Key
	User    string // "" for nobody's
	Source  string
	Stamp   string
	Created time.Time
	Login   time.Time
	Seen    time.Time
	Expires time.Time
	Limit   time.Time
	Addr    string
	Agent   string
}

// A Manager makes sessions out of a store and a cookie. It belongs to one
// configuration; the store outlives it. Safe for concurrent use.
type Manager struct{}

// NewManager checks the options.
func NewManager(o Options) (*Manager, error) { panic("being built") }

// Find says whose session the request's cookie opens: the hot path. It does
// not extend the session, and reads no data.
//
// ErrNotFound: nobody's, because there is no cookie of ours, or two, or one
// that we did not sign, or its session has ended. Any other error: the store
// could not tell.
func (m *Manager) Find(r *http.Request) (Info, error) { panic("being built") }

// Seen records a use of the session: its idle time begins again. It writes
// at most once every Options.TouchEvery, in the background, and never brings
// back a session that has ended.
func (m *Manager) Seen(i Info) { panic("being built") }

// Open gives the request's session, or a new one when it has none. Lazy: the
// store is asked at the first use.
func (m *Manager) Open(r *http.Request) *Session { panic("being built") }

// Commit saves the session if it was modified, and puts Set-Cookie (with
// Vary and Cache-Control) into h. Call it once, before the first byte of the
// answer. A status of 500 and more saves nothing (Django 4.2).
func (m *Manager) Commit(s *Session, h http.Header, status int) error { panic("being built") }

// Expire puts a Set-Cookie into h that deletes our cookie at the visitor, by
// each name that it may have.
func (m *Manager) Expire(r *http.Request, h http.Header) { panic("being built") }

// CookieNames gives the names under which our cookie may travel: none of them
// may pass to an upstream, or come from one.
func (m *Manager) CookieNames() []string { panic("being built") }

// List yields sessions, expired ones left out.
func (m *Manager) List(ctx context.Context, q Query) iter.Seq2[Info, error] { panic("being built") }

// Revoke ends the session with the handle (or longer prefix of the key).
// ErrNotFound when there is none; an error that names both when two match.
func (m *Manager) Revoke(ctx context.Context, handle, reason string) (Info, error) {
	panic("being built")
}

// RevokeUser ends every session of the user but those for which keep is true
// (nil: keeps none) and says how many.
func (m *Manager) RevokeUser(ctx context.Context, user, reason string, keep func(Info) bool) (int, error) {
	panic("being built")
}

// RevokeAll ends every session and says how many.
func (m *Manager) RevokeAll(ctx context.Context, reason string) (int, error) { panic("being built") }

// Purge removes the sessions that have expired, in batches, and says how many.
func (m *Manager) Purge(ctx context.Context) (int, error) { panic("being built") }
