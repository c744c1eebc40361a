package sessions

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gorilla/securecookie"
)

// secretMin is how many bytes a secret must have.
const secretMin = 32

// The purposes for which keys are derived from a secret or an id. Changing one ends
// all sessions.
const (
	purposeCookie = "gatehouse session cookie v1"
	purposeSalt   = "gatehouse session salt v1"
	purposeData   = "gatehouse session data v1"
	purposeRecord = "gatehouse session record v2"
)

// deriveKeys derives a key from each secret for each purpose.
func (m *Manager) deriveKeys(secrets [][]byte) error {
	for _, s := range secrets {
		mac, err := hkdf.Key(sha256.New, s, nil, purposeCookie, 32)
		if err != nil {
			return fmt.Errorf("derive the key of the cookie: %w", err)
		}
		salt, err := hkdf.Key(sha256.New, s, nil, purposeSalt, 32)
		if err != nil {
			return fmt.Errorf("derive the salt of the data: %w", err)
		}
		c := securecookie.New(mac, nil).
			SetSerializer(securecookie.NopEncoder{}).
			MaxAge(int(m.signedFor / time.Second)).
			MaxLength(cookieLen)
		m.codecs = append(m.codecs, c)
		m.seals = append(m.seals, salt)
	}
	return nil
}

// content is what is encrypted: the data, and what nobody but their owner needs.
type content struct {
	Values   map[string]json.RawMessage `json:"values,omitempty"`
	Expiry   *Expiry                    `json:"expiry,omitempty"`
	Remember bool                       `json:"remember,omitempty"`

	Session string   `json:"session,omitempty"` // the id of the session, in the record of a host's id or of a code
	Passage *passage `json:"passage,omitempty"` // in the record of a code
}

// empty reports whether there is nothing to encrypt.
func (c *content) empty() bool {
	return len(c.Values) == 0 && c.Expiry == nil && !c.Remember && c.Session == "" && c.Passage == nil
}

// errCorrupted means that data were not encrypted by us for this session, or with a
// secret that is no longer known.
var errCorrupted = errors.New("sessions: data corrupted")

const (
	sealVersion = 1
	nonceLen    = 12
	tagLen      = 16
)

// seal encrypts the content with AES-256-GCM, under a key that is derived from the
// id, which the server does not keep, and from a secret: neither a copy of the store
// nor the secret decrypts it. The store's key is authenticated as well, so that data
// cannot be moved to another session. by is the index of the secret. It returns nil
// if there is no content.
func (m *Manager) seal(id, key string, by int, c content) ([]byte, error) {
	if c.empty() {
		return nil, nil
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode session data: %w", err)
	}
	aead, err := dataCipher(id, m.seals[by])
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1+nonceLen, 1+nonceLen+len(plain)+tagLen)
	out[0] = sealVersion
	_, _ = rand.Read(out[1:]) // never fails, see its documentation
	return aead.Seal(out, out[1:], plain, []byte(key)), nil
}

// open decrypts what seal has made with any of the secrets, or returns errCorrupted.
func (m *Manager) open(id, key string, data []byte) (content, error) {
	if len(data) == 0 {
		return content{}, nil
	}
	if len(data) < 1+nonceLen+tagLen || data[0] != sealVersion {
		return content{}, errCorrupted
	}
	nonce, sealed := data[1:1+nonceLen], data[1+nonceLen:]
	for _, salt := range m.seals {
		aead, err := dataCipher(id, salt)
		if err != nil {
			return content{}, err
		}
		plain, err := aead.Open(nil, nonce, sealed, []byte(key))
		if err != nil {
			continue
		}
		var c content
		if json.Unmarshal(plain, &c) != nil {
			return content{}, errCorrupted
		}
		return c, nil
	}
	return content{}, errCorrupted
}

// dataCipher returns the cipher for the data of one session under one secret.
func dataCipher(id string, salt []byte) (cipher.AEAD, error) {
	k, err := hkdf.Key(sha256.New, []byte(id), salt, purposeData, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of session data: %w", err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, fmt.Errorf("seal session data: %w", err)
	}
	return cipher.NewGCM(block)
}
