package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"gatehouse/internal/secret"
)

// Params are what an argon2id hash costs.
type Params struct {
	Memory uint32 // in KiB
	Time   uint32 // passes over it
	Lanes  uint8  // that may be computed at once
}

// current are OWASP's parameters for argon2id with the least memory.
var current = Params{Memory: 19 * 1024, Time: 2, Lanes: 1}

const (
	saltLen = 16
	keyLen  = 32
)

// argon is a hash of argon2 (RFC 9106) as a PHC string.
type argon struct {
	Params
	id        bool // argon2id; else argon2i, which older Djangos wrote
	salt, key []byte
}

func (a argon) derive(password string) []byte {
	size := uint32(len(a.key)) //nolint:gosec // G115: 64 at most
	if a.id {
		return argon2.IDKey([]byte(password), a.salt, a.Time, a.Memory, a.Lanes, size)
	}
	return argon2.Key([]byte(password), a.salt, a.Time, a.Memory, a.Lanes, size)
}

func (a argon) matches(password string) bool {
	return subtle.ConstantTimeCompare(a.derive(password), a.key) == 1
}

func (a argon) cost() float64 { return a.Params.cost() }

func (a argon) family() string {
	return fmt.Sprintf("argon2 %t %d %d %d", a.id, a.Memory, a.Time, a.Lanes)
}

func (a argon) dummy() scheme {
	return argon{Params: a.Params, id: a.id, salt: make([]byte, len(a.salt)), key: make([]byte, len(a.key))}
}

func (argon) fill(scheme, string) {} // a family has one cost

func (p Params) cost() float64 { return float64(p.Memory) * float64(p.Time) }

func (a argon) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.Memory, a.Time, a.Lanes,
		base64.RawStdEncoding.EncodeToString(a.salt), base64.RawStdEncoding.EncodeToString(a.key))
}

// newArgon hashes a password anew.
func newArgon(p Params, password string) argon {
	a := argon{Params: p, id: true, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
	_, _ = rand.Read(a.salt) // never fails: the process ends instead
	a.key = a.derive(password)
	return a
}

// parseArgon2 reads $argon2id$v=19$m=19456,t=2,p=1$salt$key.
func parseArgon2(s string) (scheme, error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" && part[1] != "argon2i" {
		return nil, broken("argon2", "it has not the parts $argon2id$v=19$m=,t=,p=$salt$hash")
	}
	if part[2] != "v=19" {
		return nil, broken("argon2", "only version 19 can be read")
	}
	m, t, p, ok := argonParams(part[3])
	switch {
	case !ok:
		return nil, broken("argon2", "its parameters are not m=,t=,p=")
	case t < 1 || p < 1 || p > 64 || m < 8*p:
		return nil, broken("argon2", "its parameters are out of range")
	case m > maxMemory:
		return nil, tooDear("an argon2 hash", "its memory m is above 1 GiB")
	case t > 64 || m*t > 8*maxMemory:
		return nil, tooDear("an argon2 hash", "its time t is above 64, or m times t above 8 GiB")
	}
	salt, err := base64.RawStdEncoding.Strict().DecodeString(part[4])
	if err != nil || len(salt) < 8 || len(salt) > 64 {
		return nil, broken("argon2", "its salt is not 8 to 64 bytes in base64")
	}
	key, err := base64.RawStdEncoding.Strict().DecodeString(part[5])
	if err != nil || len(key) < 16 || len(key) > 64 {
		return nil, broken("argon2", "its hash is not 16 to 64 bytes in base64")
	}
	return argon{
		Params: Params{Memory: uint32(m), Time: uint32(t), Lanes: uint8(p)}, //nolint:gosec // G115: bounded above
		id:     part[1] == "argon2id", salt: salt, key: key,
	}, nil
}

func argonParams(s string) (m, t, p int, ok bool) {
	list := strings.Split(s, ",")
	if len(list) != 3 {
		return 0, 0, 0, false
	}
	for i, to := range []struct {
		name string
		n    *int
	}{{"m=", &m}, {"t=", &t}, {"p=", &p}} {
		text, found := strings.CutPrefix(list[i], to.name)
		if *to.n, ok = number(text); !found || !ok {
			return 0, 0, 0, false
		}
	}
	return m, t, p, true
}

// weakerThan says whether a stored hash is another kind than a PHC string of
// argon2id, or has lower parameters than want.
func weakerThan(hash string, want Params) bool {
	h, err := parseHash(hash)
	a, ok := h.(argon)
	if err != nil || !ok || !strings.HasPrefix(hash, "$argon2id$") {
		return true
	}
	return a.Memory < want.Memory || a.Time < want.Time || len(a.salt) < saltLen || len(a.key) < keyLen
}

func phc(a argon) secret.Text { return secret.New(a.String()) }
