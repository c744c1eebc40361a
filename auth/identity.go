package auth

import (
	"time"

	"gatehouse/sessions"
)

// An Identity is the person that a request comes from. It is made from an account and
// from the proof that the request is theirs, never from anything that the client
// claims. Its slices are shared and must not be changed.
type Identity struct {
	Name        string // the account's name as stored
	Email       string // "" when unknown
	DisplayName string // "" when unknown
	Groups      []string
	Source      string // the name of the account's source; see account.Source

	// Session is the session that the request came with. The zero Info means that it
	// came without one; the identity is then valid for this request only. See
	// HasSession.
	Session sessions.Info

	Methods  []string  // how they proved who they are, in the names of RFC 8176, section 2
	Level    int       // the number of factors that they proved; 0: none
	AuthTime time.Time // when they last did so; zero: never
}

// HasSession reports whether the request came with a session. It is safe to call on
// nil, which has none. Only such an identity has a handle and a cookie to renew, and
// counts as activity.
func (id *Identity) HasSession() bool { return id != nil && id.Session.Key != "" }
