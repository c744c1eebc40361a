package password

import (
	"fmt"
	"strings"

	"gatehouse/internal/secret"
)

// A scheme is a stored password hash that has been read: its kind and its
// parameters are known, and lie within bounds.
type scheme interface {
	// matches does the whole work whatever the password, and compares in
	// constant time.
	matches(password string) bool
	// cost is roughly how many microseconds of one core matches takes. It is
	// computed from the parameters alone.
	cost() float64
	// family names the schemes that fill can make equal to this one.
	family() string
	// dummy returns a scheme that does the same work, and is nobody's.
	dummy() scheme
	// fill does the work that matches does less than that of a dearer scheme
	// of the same family, in the same way.
	fill(dearer scheme, password string)
}

// MaxLength is how many bytes a password may have. A longer one is refused
// before any hash is computed.
const MaxLength = 1024

const (
	maxHash   = 1024    // bytes of a stored hash
	maxMemory = 1 << 20 // KiB that one hash may ask for: 1 GiB
)

// Remedy is how to get a hash that can be used, in a sentence's end.
const Remedy = "make one with: gatehouse hash"

// hashError is what is wrong with a stored hash. Its text never holds the
// hash: who wrote a password in its place must not find it in a log.
type hashError string

func (e hashError) Error() string { return string(e) }

// CheckHash says what is wrong with a stored hash: its kind is not known, it
// is broken, no password hash at all (plain text, MD5, SHA-1, which can be
// guessed at billions a second), or asks for more work or memory than is
// safe. nil: it can be used. The text never holds the hash itself.
//
// A kind that can be used, but with parameters below today's advice, is not
// refused, so that accounts can be taken over from elsewhere: see Cheap.
func CheckHash(hash secret.Text) error {
	_, err := parseHash(hash.Reveal())
	return err
}

// Cheap reports whether a hash that can be used costs a guesser less than half
// of what a new hash of ours does.
func Cheap(hash secret.Text) bool {
	s, err := parseHash(hash.Reveal())
	return err == nil && s.cost() < current.cost()/2
}

// TooDear reports whether a hash asks for so much work that the other logins
// do not do it as well: those of its account can be told apart by their time.
func TooDear(hash secret.Text) bool {
	s, err := parseHash(hash.Reveal())
	return err == nil && s.cost() > maxDearer*current.cost()
}

// parseHash reads a stored hash: a PHC string of argon2, a crypt string of
// bcrypt, or what Django's hashers write (django/contrib/auth/hashers.py).
func parseHash(s string) (scheme, error) {
	switch {
	case s == "":
		return nil, hashError("is missing; " + Remedy)
	case len(s) > maxHash:
		return nil, hashError("is too long to be a password hash; " + Remedy)
	case s[0] == '!' || s[0] == '*':
		return nil, hashError("says that no password matches; " + Remedy + ", or write disabled: true")
	}
	kind, rest, ok := strings.Cut(strings.TrimPrefix(s, "$"), "$")
	if !ok {
		return nil, notAHash(s)
	}
	if s[0] == '$' {
		switch kind {
		case "argon2id", "argon2i":
			return parseArgon2(s)
		case "2a", "2b", "2y":
			return parseBcrypt(s)
		}
		return nil, notAHash(s)
	}
	switch kind {
	case "argon2":
		return parseArgon2("$" + rest)
	case "bcrypt":
		return parseBcrypt(rest)
	case "bcrypt_sha256":
		b, err := parseBcrypt(rest)
		if err != nil {
			return nil, err
		}
		return bcryptSHA256{b}, nil
	case "pbkdf2_sha256", "pbkdf2_sha1":
		return parsePBKDF2(kind, rest)
	case "scrypt":
		return parseScrypt(rest)
	}
	return nil, notAHash(s)
}

// notAHash names the kind of what cannot be taken, never its text.
func notAHash(s string) error {
	known := []struct{ prefix, name string }{
		{"$apr1$", "an Apache MD5 hash"},
		{"$1$", "an MD5 hash"},
		{"md5$", "an MD5 hash"},
		{"unsalted_md5$", "an MD5 hash"},
		{"{SHA}", "an unsalted SHA-1 hash"},
		{"{SSHA}", "a SHA-1 hash"},
		{"sha1$", "a SHA-1 hash"},
		{"unsalted_sha1$", "a SHA-1 hash"},
		{"crypt$", "a DES hash"},
		{"$5$", "a SHA-256 crypt hash, which is not supported"},
		{"$6$", "a SHA-512 crypt hash, which is not supported"},
		{"$y$", "a yescrypt hash, which is not supported"},
		{"$2x$", "a bcrypt hash of a broken kind"},
		{"$argon2d$", "an argon2d hash, which is not supported"},
	}
	for _, k := range known {
		if strings.HasPrefix(s, k.prefix) {
			if strings.Contains(k.name, "not supported") {
				return hashError("is " + k.name + "; " + Remedy)
			}
			return hashError("is " + k.name + ", which protects nobody; " + Remedy)
		}
	}
	return hashError("is no password hash; " + Remedy)
}

func broken(kind, why string) error {
	return hashError(fmt.Sprintf("is a broken %s hash (%s); %s", kind, why, Remedy))
}

func tooDear(kind, what string) error {
	return hashError(fmt.Sprintf("is %s that asks for too much: %s; %s", kind, what, Remedy))
}

// number reads a decimal number the one way that it is written: digits only,
// no sign, no leading zero, at most nine digits.
func number(s string) (int, bool) {
	if s == "" || len(s) > 9 || s[0] == '0' && s != "0" {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
