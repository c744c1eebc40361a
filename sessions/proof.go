package sessions

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A ring holds the keys that authenticate the record of one session, one for each
// secret of the Manager that made it. They are derived from the session's id, which
// no store has, and from the secret. So nobody can make a record that counts by
// writing to the store, nor with an id of their own.
type ring struct {
	of   *Manager
	id   string
	macs [][]byte // the first signs, all verify
}

// ringOf derives the keys for the id, one for each secret of m.
func (m *Manager) ringOf(id string) (*ring, error) {
	k := &ring{of: m, id: id, macs: make([][]byte, len(m.seals))}
	for i, salt := range m.seals {
		var err error
		if k.macs[i], err = hkdf.Key(sha256.New, []byte(id), salt, purposeRecord, sha256.Size); err != nil {
			return nil, fmt.Errorf("derive the key of the record: %w", err)
		}
	}
	return k, nil
}

// ours returns the keys of k's id under the secrets of m. k may have been made by the
// Manager of an earlier configuration, with other secrets. It returns nil for nil.
func (m *Manager) ours(k *ring) (*ring, error) {
	if k == nil || k.of == m {
		return k, nil
	}
	return m.ringOf(k.id)
}

// What a key authenticates; the first byte of what is signed.
const (
	proofRecord = 'r'
	proofUse    = 'u'
)

// prove puts Proof and Mark into r, which is about to be stored as version. by is the
// index of the secret.
func (k *ring) prove(by int, key string, r *Record, version uint64) {
	r.Proof = k.proof(by, key, r, version)
	r.Mark = k.mark(by, key, r.Seen)
}

// proof returns the HMAC of everything that Touch leaves alone. That is Expires too
// in a record without Idle; in a record with Idle, Expires follows from Seen.
func (k *ring) proof(by int, key string, r *Record, version uint64) []byte {
	c := *r
	c.Created, c.Login, c.Limit, c.AuthTime = stored(r.Created), stored(r.Login), stored(r.Limit), stored(r.AuthTime)
	c.Idle = r.Idle.Truncate(time.Microsecond)
	c.Seen, c.Expires = time.Time{}, stored(r.Expires)
	if c.Idle > 0 {
		c.Expires = time.Time{}
	}
	c.Version, c.Proof, c.Mark = version, nil, nil
	b := make([]byte, 0, 256+len(r.Data)+len(r.User)+len(r.Agent))
	b = append(b, proofRecord)
	b = append(b, key...)
	return k.mac(by, appendRecord(b, &c))
}

// mark returns the HMAC of the time of the last use.
func (k *ring) mark(by int, key string, seen time.Time) []byte {
	b := append(make([]byte, 0, 1+len(key)+8), proofUse)
	b = append(b, key...)
	return k.mac(by, binary.BigEndian.AppendUint64(b, timeBits(stored(seen))))
}

func (k *ring) mac(by int, text []byte) []byte {
	h := hmac.New(sha256.New, k.macs[by])
	h.Write(text)
	return h.Sum(nil)
}

// verify reports whether r was made for key by a Manager with the same id and one of
// the secrets, and returns the index of the secret that has signed it. Proof and Mark
// may be signed with different ones. All comparisons take constant time.
func (k *ring) verify(key string, r *Record) (by int, ok bool) {
	if k == nil {
		return 0, false
	}
	for by := range k.macs {
		if !hmac.Equal(r.Proof, k.proof(by, key, r, r.Version)) {
			continue
		}
		for use := range k.macs {
			if hmac.Equal(r.Mark, k.mark(use, key, r.Seen)) {
				return by, true
			}
		}
		return 0, false
	}
	return 0, false
}

// admit checks that the record counts for the session whose keys k are, and returns
// the index of the secret that has signed it. Otherwise it returns ErrNotFound, or a
// failure. A record of format 1 counts until Options.LegacyUntil; old says that r is
// one, and was changed to what it would be today, except for Proof and Mark.
func (m *Manager) admit(k *ring, key string, r *Record) (by int, old bool, err error) {
	if len(r.Proof) == 0 && m.now().Before(m.o.LegacyUntil) {
		r.modernize()
		return 0, true, nil
	}
	if k, err = m.ours(k); err != nil {
		return 0, false, err
	}
	by, ok := k.verify(key, r)
	if !ok {
		m.reject(key, "it was not written by this gate, or for another session")
		return 0, false, ErrNotFound
	}
	r.Expires = r.ends()
	return by, false, nil
}

// modernize fills in what format 1 did not have: there were only passwords then.
func (r *Record) modernize() {
	if r.User != "" {
		r.AuthTime, r.Level, r.Methods = r.Login, 1, []string{MethodPassword}
	}
}

// ends returns when the session ends if it is not used any more. In a record with Idle
// it is counted from Seen, which is authenticated; Expires, which is not, can only
// make it earlier.
func (r *Record) ends() time.Time {
	if r.Idle > 0 {
		if at := r.use(r.Seen); at.Before(r.Expires) {
			return at
		}
	}
	return r.Expires
}

// over reports whether the session has ended by its own times.
func (r *Record) over(now time.Time) bool {
	return r.Expired(now) || !now.Before(r.ends())
}

// rejectEvery is how often a record that does not count is reported, at most.
const rejectEvery = time.Minute

// reject reports that the store has a record that does not count, because it is
// damaged, or somebody has changed it in the store. Only the session's handle is
// told.
func (m *Manager) reject(key, why string) {
	now := m.now()
	if last, ok := m.rejected.get(key); ok && now.Sub(last) < rejectEvery {
		return
	}
	m.rejected.put(key, now)
	m.o.Log.Warn("session record does not count", slog.String("session", Handle(key)), slog.String("reason", why))
	if m.o.OnInvalidRecord != nil {
		m.o.OnInvalidRecord(Handle(key))
	}
}

// damagedIs reports a damaged record and returns ErrNotFound for it, so that the
// person with its cookie can sign in again. Other errors pass.
func (m *Manager) damagedIs(key string, err error) error {
	if errors.Is(err, ErrDamaged) {
		m.reject(key, "it is damaged")
		return ErrNotFound
	}
	return err
}
