package password

import (
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // G505: only to verify what Django's pbkdf2_sha1 wrote
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"math/bits"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// maxIterations is the largest iteration count of PBKDF2 that is accepted.
// Django 6 uses 1.2 million.
const maxIterations = 10_000_000

// pbkdf2Hash is a hash of Django's PBKDF2PasswordHasher, or of its predecessor
// with SHA-1, PBKDF2SHA1PasswordHasher.
type pbkdf2Hash struct {
	iterations int
	salt, key  []byte
	sum        func() hash.Hash
}

func (p pbkdf2Hash) matches(password string) bool {
	key, err := pbkdf2.Key(p.sum, password, p.salt, p.iterations, len(p.key))
	return err == nil && subtle.ConstantTimeCompare(key, p.key) == 1
}

func (p pbkdf2Hash) cost() float64 { return 0.25 * float64(p.iterations) }

// family tells SHA-256 and SHA-1 apart by the length of the key, which is that
// of the hash function.
func (p pbkdf2Hash) family() string { return fmt.Sprint("pbkdf2 ", len(p.key)) }

func (p pbkdf2Hash) dummy() scheme {
	return pbkdf2Hash{iterations: p.iterations, salt: make([]byte, len(p.salt)), key: make([]byte, len(p.key)), sum: p.sum}
}

// fill computes the missing iterations: the work is linear in their number.
func (p pbkdf2Hash) fill(dearer scheme, password string) {
	if d, ok := dearer.(pbkdf2Hash); ok && d.iterations > p.iterations {
		_, _ = pbkdf2.Key(p.sum, password, p.salt, d.iterations-p.iterations, len(p.key))
	}
}

// parsePBKDF2 parses iterations$salt$key of Django's pbkdf2_sha256 and
// pbkdf2_sha1. The salt is used as the text that it is, not decoded.
func parsePBKDF2(kind, s string) (scheme, error) {
	part := strings.Split(s, "$")
	if len(part) != 3 || part[1] == "" {
		return nil, broken(kind, "it has not the parts iterations$salt$hash")
	}
	n, ok := number(part[0])
	if !ok || n < 1 {
		return nil, broken(kind, "its iterations are not a number from 1")
	}
	if n > maxIterations {
		return nil, tooDear("a "+kind+" hash", "it has more than 10 million iterations")
	}
	p := pbkdf2Hash{iterations: n, salt: []byte(part[1]), sum: sha256.New}
	size := sha256.Size
	if kind == "pbkdf2_sha1" {
		p.sum, size = sha1.New, sha1.Size
	}
	var err error
	if p.key, err = base64.StdEncoding.Strict().DecodeString(part[2]); err != nil || len(p.key) != size {
		return nil, broken(kind, "its hash has not the length that it must have")
	}
	return p, nil
}

// scryptHash is a hash of Django's ScryptPasswordHasher (RFC 7914).
type scryptHash struct {
	n, r, p   int
	salt, key []byte
}

func (s scryptHash) matches(password string) bool {
	key, err := scrypt.Key([]byte(password), s.salt, s.n, s.r, s.p, len(s.key))
	return err == nil && subtle.ConstantTimeCompare(key, s.key) == 1
}

func (s scryptHash) cost() float64 { return 0.45 * float64(s.n) * float64(s.r) * float64(s.p) }

func (s scryptHash) family() string { return fmt.Sprintf("scrypt %d %d %d", s.n, s.r, s.p) }

func (s scryptHash) dummy() scheme {
	return scryptHash{n: s.n, r: s.r, p: s.p, salt: make([]byte, len(s.salt)), key: make([]byte, len(s.key))}
}

// fill has nothing to do: the parameters are part of the family.
func (scryptHash) fill(scheme, string) {}

// parseScrypt parses n$salt$r$p$key. The salt is used as the text that it is,
// not decoded. Memory, 128*n*r bytes, is limited to 1 GiB.
func parseScrypt(s string) (scheme, error) {
	part := strings.Split(s, "$")
	if len(part) != 5 || part[1] == "" {
		return nil, broken("scrypt", "it has not the parts n$salt$r$p$hash")
	}
	n, ok1 := number(part[0])
	r, ok2 := number(part[2])
	p, ok3 := number(part[3])
	switch {
	case !ok1 || !ok2 || !ok3 || r < 1 || p < 1 || n < 2 || bits.OnesCount(uint(n)) != 1:
		return nil, broken("scrypt", "its parameters are out of range")
	case r > 64 || p > 64 || n > maxMemory || n/8*r > maxMemory: // 128*n*r bytes
		return nil, tooDear("a scrypt hash", "it needs more than 1 GiB")
	case n/8*r*p > 8*maxMemory:
		return nil, tooDear("a scrypt hash", "it needs too much time")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(part[4])
	if err != nil || len(key) != 64 {
		return nil, broken("scrypt", "its hash is not 64 bytes in base64")
	}
	return scryptHash{n: n, r: r, p: p, salt: []byte(part[1]), key: key}, nil
}
