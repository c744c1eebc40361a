package sessions

import (
	"context"
	"time"
)

// A Session is one request's view of a session; safe for concurrent use. See
// the package documentation for the Django names.
type Session struct{}

// Login is who has just proved to be whom, and from where.
type Login struct {
	User, Source string
	Stamp        string // the account's; the session ends when it moves
	Addr, Agent  string // for lists
	Remember     bool   // "keep me signed in"
}

// An Expiry is a session's own policy. The zero value is the manager's.
type Expiry struct {
	After time.Duration // of inactivity; negative: has expired
	At    time.Time     // then, whatever happens
	Close bool          // with the browser; the record keeps the manager's Age
}

func (s *Session) ID() string                                               { panic("being built") } // "" until saved
func (s *Session) Get(ctx context.Context, key string, v any) (bool, error) { panic("being built") }
func (s *Session) Set(ctx context.Context, key string, v any) error         { panic("being built") }
func (s *Session) Delete(ctx context.Context, key string) error             { panic("being built") }
func (s *Session) Pop(ctx context.Context, key string, v any) (bool, error) { panic("being built") }
func (s *Session) Keys(ctx context.Context) ([]string, error)               { panic("being built") }
func (s *Session) Clear(ctx context.Context) error                          { panic("being built") } // drops the data, keeps the ID
func (s *Session) SetExpiry(ctx context.Context, e Expiry) error            { panic("being built") }
func (s *Session) Save(ctx context.Context) error                           { panic("being built") } // ErrNotFound: logged out meanwhile
func (s *Session) Cycle(ctx context.Context) error                          { panic("being built") } // new ID, same data
func (s *Session) Flush(ctx context.Context) error                          { panic("being built") } // no data, no ID, no record
func (s *Session) Info(ctx context.Context) (Info, error)                   { panic("being built") } // ErrNotFound: not saved

// Login makes the session l.User's, always under a new id: the data stay when
// it was nobody's or already this user's with the same stamp, and go when it
// was somebody else's (Django's auth.login). The record is in the store when
// it returns; Commit sends the cookie.
func (s *Session) Login(ctx context.Context, l Login) error { panic("being built") }

// Renew gives the session a new id and the new stamp, after its owner has
// changed the password (Django's update_session_auth_hash).
func (s *Session) Renew(ctx context.Context, stamp string) error { panic("being built") }

// Logout is Flush, told to Options.Ended as a logout.
func (s *Session) Logout(ctx context.Context) error { panic("being built") }
