package auth

import (
	"time"

	"gatehouse/sessions"
)

// An Identity is the person that a request comes from. It comes from an account
// and from what proves that the request is theirs, never from anything that a
// client says of itself. Its slices are shared: nobody changes them.
type Identity struct {
	Name        string // the stored spelling
	Email       string // "" when unknown
	DisplayName string // "" when unknown
	Groups      []string
	Source      string // of the account; see account.Source

	// Session is the session that it came with. The zero Info: it came without
	// one. Such an identity ends with its request; see HasSession.
	Session sessions.Info

	Methods  []string  // how they proved who they are, in the names of RFC 8176
	Level    int       // by how many factors; 0: by none
	AuthTime time.Time // when they last did so; zero: never
}

// HasSession reports whether the identity came with a session. What belongs to
// a session (its handle, its use, a new cookie, what is under way for it) exists
// for such an identity only.
func (id *Identity) HasSession() bool { return id != nil && id.Session.Key != "" }
