package password

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// bcryptMax is how many bytes of a password bcrypt uses; it ignores the rest.
const bcryptMax = 72

// bcryptDigits is the alphabet of bcrypt's own base64.
const bcryptDigits = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// bcryptHash is a bcrypt crypt string, such as htpasswd -B writes.
type bcryptHash struct {
	text string
	rank int // bcrypt's cost parameter, 4 to 16: the work doubles with each step
}

// matches never accepts a password that bcrypt would truncate: Go's bcrypt
// compares only its first 72 bytes, so those alone would be enough to sign in.
func (b bcryptHash) matches(password string) bool {
	p := []byte(password)
	if len(p) > bcryptMax {
		_ = bcrypt.CompareHashAndPassword([]byte(b.text), p[:bcryptMax]) // the same work
		return false
	}
	return bcrypt.CompareHashAndPassword([]byte(b.text), p) == nil
}

func (b bcryptHash) cost() float64 { return 65 * float64(int(1)<<b.rank) }

// family is the same for all ranks: fill levels them.
func (bcryptHash) family() string { return "bcrypt" }

func (b bcryptHash) dummy() scheme { return bcryptDummy(b.rank) }

// bcryptDummy returns a well-formed hash that no known password matches.
func bcryptDummy(rank int) bcryptHash {
	return bcryptHash{text: fmt.Sprintf("$2b$%02d$%s", rank, strings.Repeat(".", 53)), rank: rank}
}

// fill computes one hash of each rank from its own up to the one below the
// dearer hash's: 2^n + (2^n + 2^(n+1) + ... + 2^(r-1)) = 2^r.
func (b bcryptHash) fill(dearer scheme, password string) {
	d, ok := dearer.(interface{ ranked() int })
	for rank := b.rank; ok && rank < d.ranked(); rank++ {
		_ = bcryptDummy(rank).matches(password)
	}
}

// ranked lets fill read the rank of a bcryptHash and a bcryptSHA256 alike.
func (b bcryptHash) ranked() int { return b.rank }

// bcryptSHA256 is a hash of Django's BCryptSHA256PasswordHasher: bcrypt of the
// password's SHA-256 in hexadecimal, which fits into bcrypt's 72 bytes.
type bcryptSHA256 struct{ bcryptHash }

func (b bcryptSHA256) matches(password string) bool {
	sum := sha256.Sum256([]byte(password))
	return b.bcryptHash.matches(hex.EncodeToString(sum[:]))
}

// parseBcrypt parses a crypt string: $2b$12$ (or 2a, 2y) and 53 characters. A
// cost above 16, several seconds of work, is refused.
func parseBcrypt(s string) (bcryptHash, error) {
	if len(s) != 60 || s[0] != '$' || s[3] != '$' || s[6] != '$' {
		return bcryptHash{}, broken("bcrypt", "it is not $2b$, two digits, $ and 53 characters")
	}
	if v := s[1:3]; v != "2a" && v != "2b" && v != "2y" {
		return bcryptHash{}, broken("bcrypt", "its kind is not 2a, 2b or 2y")
	}
	rank, ok := number(strings.TrimPrefix(s[4:6], "0"))
	if !ok || rank < bcrypt.MinCost {
		return bcryptHash{}, broken("bcrypt", "its cost is not a number from 04")
	}
	if rank > 16 {
		return bcryptHash{}, tooDear("a bcrypt hash", "its cost is above 16")
	}
	if strings.Trim(s[7:], bcryptDigits) != "" {
		return bcryptHash{}, broken("bcrypt", "a character is not bcrypt's base64")
	}
	return bcryptHash{text: s, rank: rank}, nil
}
