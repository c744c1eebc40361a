package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Values returns the values that ChangeValues has put into the request's session
// under one namespace, such as the name of an application; nil: there are none. i
// is what Find has returned for the request, whose cookie decrypts the data. The
// session is not prolonged, and one that has ended has no values.
//
// While the session has no data at all, Values asks nobody, unless the store is a
// SharedStore: then it always asks the store, so that it sees what another process
// has stored. An error means that the store could not tell.
func (m *Manager) Values(r *http.Request, i Info, namespace string) (map[string]string, error) {
	if !i.Data && !m.behind() {
		return nil, nil
	}
	key := i.cookieKey()
	id, ok := m.idOf(r, key)
	if !ok {
		return nil, nil
	}
	_, c, _, err := m.unseal(r.Context(), id, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return c.namespace(namespace)
}

// ChangeValues calls change with the values of one namespace of the request's
// session, and stores what it makes of them. They are in the store when
// ChangeValues returns. Keys and values are UTF-8. change reports whether it has
// changed anything; it is called again, with the values of then, after a version
// conflict. used says that the request is a use of the session, which prolongs it.
//
// ErrNotFound means that the session has ended or has a new id, and ErrFull that
// the data would grow beyond Options.DataLimit; nothing is stored in both cases.
// After any other error it is not known. ChangeValues goes on when the client has
// gone, for 5 seconds at most.
func (m *Manager) ChangeValues(r *http.Request, i Info, namespace string, used bool, change func(map[string]string) bool) error {
	key := i.cookieKey()
	id, ok := m.idOf(r, key)
	if !ok {
		return ErrNotFound
	}
	ctx, cancel := detach(r.Context())
	defer cancel()
	for {
		err := m.changeValues(ctx, id, key, namespace, used, change)
		if !errors.Is(err, ErrConflict) {
			return wrap("keep values of", key, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("keep values of session %s: %w: %w", i.Handle, err, ctx.Err())
		}
	}
}

// changeValues tries once. It may overwrite a use that is recorded at the same
// moment, which ends the session earlier, never later.
func (m *Manager) changeValues(ctx context.Context, id, key, namespace string, used bool, change func(map[string]string) bool) error {
	rec, c, by, err := m.unseal(ctx, id, key)
	if err != nil {
		return err
	}
	values, err := c.namespace(namespace)
	if err != nil {
		return err
	}
	if values == nil {
		values = map[string]string{}
	}
	if !change(values) {
		return nil
	}
	if err := c.setNamespace(namespace, values); err != nil {
		return err
	}
	if used {
		now := m.now()
		rec.Seen, rec.Expires = now, rec.use(now)
	}
	before := len(rec.Data)
	if err := m.write(id, key, by, &rec, c, rec.Version+1); err != nil {
		return err
	}
	grown := len(rec.Data) - before
	if err := m.quota.room(ctx, m, grown); err != nil {
		return err
	}
	if err := m.store.Update(ctx, key, rec); err != nil {
		return err
	}
	m.quota.add(grown)
	return nil
}

// idOf returns the id in the request's cookie if it is that of the session with
// the key.
func (m *Manager) idOf(r *http.Request, key string) (string, bool) {
	value, _, err := m.find(r, m.now())
	if err != nil {
		return "", false
	}
	id, _, _, ok := m.verify(value)
	return id, ok && keyOf(id) == key
}

// write encrypts content into a record that is about to be stored as version, and
// authenticates all of it, with the secret of the index by.
func (m *Manager) write(id, key string, by int, r *Record, c content, version uint64) error {
	k, err := m.ringOf(id)
	if err != nil {
		return err
	}
	if r.Data, err = m.seal(id, key, by, c); err != nil {
		return err
	}
	r.Hosts = c.hosts()
	k.prove(by, key, r, version)
	return nil
}

// unseal returns the session's record and its decrypted content, and the index of
// the secret that has signed it. Data that cannot be decrypted count as none. The
// record's Data must not be changed: they may be the cache's.
func (m *Manager) unseal(ctx context.Context, id, key string) (rec Record, c content, by int, err error) {
	load := m.store.Load
	if c, ok := m.store.(*Cached); ok {
		load = c.fresh
	}
	k, err := m.ringOf(id)
	if err != nil {
		return Record{}, content{}, 0, err
	}
	rec, err = load(ctx, key)
	err = m.damagedIs(key, err)
	switch {
	case err != nil:
		return Record{}, content{}, 0, wrap("load", key, err)
	case rec.over(m.now()):
		return Record{}, content{}, 0, ErrNotFound
	}
	if by, _, err = m.admit(k, key, &rec); err != nil {
		return Record{}, content{}, 0, err
	}
	c, err = m.open(id, key, rec.Data)
	if errors.Is(err, errCorrupted) {
		m.o.Log.Warn("session data corrupted", slog.String("session", Handle(key)))
		return rec, content{}, by, nil
	}
	return rec, c, by, err
}

// behind reports whether what Find knows may be older than what other processes
// have stored.
func (m *Manager) behind() bool {
	c, ok := m.store.(*Cached)
	return ok && c.life > 0
}

// A namespace lies among the other values of a session, under its name with this
// prefix.
const namespacePrefix = "space "

func (c *content) namespace(name string) (values map[string]string, err error) {
	raw, ok := c.Values[namespacePrefix+name]
	if !ok {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, fmt.Errorf("decode the values of space %q: %w", name, err)
	}
	return values, nil
}

func (c *content) setNamespace(name string, values map[string]string) error {
	if len(values) == 0 {
		c.set(namespacePrefix+name, nil)
		return nil
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("encode the values of space %q: %w", name, err)
	}
	c.set(namespacePrefix+name, raw)
	return nil
}
