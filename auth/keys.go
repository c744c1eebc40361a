package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// keys sign what we hand out and want to recognize later. The first one signs, and
// all of them verify, so that secrets can be rotated.
type keys [][]byte

// newKeys derives keys for this package from the secrets, so that they differ from
// those of the sessions, which come from the same secrets.
func newKeys(secrets [][]byte) keys {
	var list keys
	for _, s := range secrets {
		m := hmac.New(sha256.New, s)
		m.Write([]byte("gatehouse auth cookies and forms"))
		list = append(list, m.Sum(nil))
	}
	return list
}

// MACSize is the length of a signature in bytes: HMAC-SHA-256, truncated to 128 bits.
const MACSize = 16

// mac returns the signature over the purpose and the parts. Each is preceded by its
// length, so that the same bytes divided differently have another signature.
func mac(key []byte, purpose string, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range append([][]byte{[]byte(purpose)}, parts...) {
		m.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p)))) //nolint:gosec // G115: a few hundred bytes
		m.Write(p)
	}
	return m.Sum(nil)[:MACSize]
}

func (k keys) sign(purpose string, parts ...[]byte) []byte { return mac(k[0], purpose, parts...) }

func (k keys) verify(sum []byte, purpose string, parts ...[]byte) bool {
	for _, key := range k {
		if hmac.Equal(sum, mac(key, purpose, parts...)) {
			return true
		}
	}
	return false
}
