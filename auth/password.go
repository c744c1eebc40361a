package auth

import (
	"context"

	"gatehouse/internal/secret"
)

// A Hasher makes and checks password hashes: as many at a time as there are
// cores, with a short queue, so that logins cannot eat the machine. There is
// one in a process.
type Hasher struct{}

// NewHasher makes a Hasher for n hashes at a time; 0: one for each core.
func NewHasher(n int) *Hasher { panic("being built") }

// Hash makes a new hash (argon2id, OWASP's parameters).
func (h *Hasher) Hash(ctx context.Context, password string) (secret.Text, error) {
	panic("being built")
}

// Check says whether the password is hash's. An error means that it could
// not tell: *web.Error 429 with Retry-After when the queue is full. An empty
// or unreadable hash never matches, and costs what a good one costs.
func (h *Hasher) Check(ctx context.Context, hash secret.Text, password string) (ok bool, err error) {
	panic("being built")
}

// CheckHash says what is wrong with a stored hash: its kind is not known, it
// is broken, too weak, or asks for more work or memory than is safe. nil: it
// can be used.
func CheckHash(hash secret.Text) error { panic("being built") }

// Weak says whether a hash should be made anew at the next login: another
// kind than ours, or lower parameters.
func Weak(hash secret.Text) bool { panic("being built") }

// CheckPassword says why a new password must not be set (too short, too
// long, too common); nil: it may. Used where we set passwords, never at login.
func CheckPassword(password, name string) error { panic("being built") }
