package password

import (
	"fmt"
	"strings"

	"gatehouse/internal/secret"
)

// A scheme is a parsed password hash: its kind and parameters are known and
// within bounds, so that checking it takes bounded time and memory.
type scheme interface {
	// matches reports whether the hash is that of the password. It does the
	// same work for every password and compares in constant time.
	matches(password string) bool
	// cost returns roughly how many microseconds of one core matches takes,
	// computed from the parameters alone.
	cost() float64
	// family returns a key shared by the schemes whose cost fill can level.
	family() string
	// dummy returns a scheme that does the same work and belongs to no account.
	dummy() scheme
	// fill does the work by which dearer, a scheme of the same family, exceeds
	// this one. matches and fill together cost what dearer.matches costs.
	fill(dearer scheme, password string)
}

// MaxLength is the longest password in bytes. A longer one is refused before
// anything is hashed.
const MaxLength = 1024

const (
	maxHash   = 1024    // bytes of a stored hash
	maxMemory = 1 << 20 // KiB that one hash may ask for: 1 GiB
)

// Remedy ends error messages about a hash: it says how to make a usable one.
const Remedy = "make one with: gatehouse hash"

// A hashError says what is wrong with a stored hash; its text follows the name
// of the key, as in "password_hash is missing". It never contains the hash: an
// operator may have written a plain password there, which must not be logged.
type hashError string

func (e hashError) Error() string { return string(e) }

// CheckHash returns nil if passwords can be checked against the stored hash,
// and otherwise an error that says why not: the kind is unknown, the hash is
// malformed, it is no password hash at all (plain text, or MD5 and SHA-1, which
// can be guessed at billions a second), or it asks for more work or memory than
// is safe. The error's text never contains the hash.
//
// A usable hash with parameters below today's advice is accepted, so that
// accounts can be imported from other systems; see Cheap.
func CheckHash(hash secret.Text) error {
	_, err := parseHash(hash.Reveal())
	return err
}

// Cheap reports whether a usable hash costs less than half as much to guess as
// one made with the default parameters. It returns false for a hash that
// CheckHash refuses.
func Cheap(hash secret.Text) bool {
	s, err := parseHash(hash.Reveal())
	return err == nil && s.cost() < current.cost()/2
}

// TooDear reports whether checking a hash is so expensive that other logins are
// not padded to the same time, so that the logins of its account can be told
// apart by how long they take. It returns false for a hash that CheckHash
// refuses.
func TooDear(hash secret.Text) bool {
	s, err := parseHash(hash.Reveal())
	return err == nil && s.cost() > maxDearer*current.cost()
}

// parseHash parses a stored hash: an argon2 PHC string, a bcrypt crypt string,
// or what Django's hashers write (django/contrib/auth/hashers.py). Every error
// is a hashError.
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

// notAHash returns the error for a string of an unsupported kind. It names the
// kind if it is known, and never quotes the string.
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

// broken returns the error for a malformed hash of a supported kind.
func broken(kind, why string) error {
	return hashError(fmt.Sprintf("is a broken %s hash (%s); %s", kind, why, Remedy))
}

// tooDear returns the error for a hash that could use up the machine.
func tooDear(kind, what string) error {
	return hashError(fmt.Sprintf("is %s that asks for too much: %s; %s", kind, what, Remedy))
}

// number parses a decimal number in its canonical spelling: digits only, no
// sign, no leading zero, at most nine digits.
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
