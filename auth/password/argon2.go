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

// Params are the cost parameters of argon2id (RFC 9106, section 3.1).
type Params struct {
	Memory uint32 // m: memory in KiB
	Time   uint32 // t: number of passes over the memory
	Lanes  uint8  // p: degree of parallelism
}

// current are the parameters of new hashes: what OWASP recommends for argon2id
// with 19 MiB of memory.
var current = Params{Memory: 19 * 1024, Time: 2, Lanes: 1}

const (
	saltLen = 16
	keyLen  = 32
)

// argon is an argon2 hash (RFC 9106), stored as a PHC string.
type argon struct {
	Params
	id        bool // argon2id; otherwise argon2i, which older versions of Django wrote
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

// fill has nothing to do: the parameters are part of the family.
func (argon) fill(scheme, string) {}

// cost assumes a microsecond for each KiB and pass.
func (p Params) cost() float64 { return float64(p.Memory) * float64(p.Time) }

// String returns the PHC string of an argon2id hash. It is used for new hashes
// only, which are never argon2i.
func (a argon) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.Memory, a.Time, a.Lanes,
		base64.RawStdEncoding.EncodeToString(a.salt), base64.RawStdEncoding.EncodeToString(a.key))
}

// newArgon hashes a password with a random salt.
func newArgon(p Params, password string) argon {
	a := argon{Params: p, id: true, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
	_, _ = rand.Read(a.salt) // never fails: the process ends instead
	a.key = a.derive(password)
	return a
}

// parseArgon2 parses a PHC string such as $argon2id$v=19$m=19456,t=2,p=1$salt$key.
// Memory is limited to 1 GiB, passes to 64, and their product to 8 GiB.
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

// argonParams parses m=,t=,p= in exactly this order.
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

// weakerThan reports whether a stored hash is anything but an argon2id PHC
// string, or has lower parameters than want. Lanes are not compared.
func weakerThan(hash string, want Params) bool {
	h, err := parseHash(hash)
	a, ok := h.(argon)
	if err != nil || !ok || !strings.HasPrefix(hash, "$argon2id$") {
		return true
	}
	return a.Memory < want.Memory || a.Time < want.Time || len(a.salt) < saltLen || len(a.key) < keyLen
}

func phc(a argon) secret.Text { return secret.New(a.String()) }
