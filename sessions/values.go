package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Values gives what ChangeValues has kept in the session of the request, in
// one space; nil: nothing. i is what Find gave for the request, whose cookie
// opens the data. It does not extend the session. While the session has no
// data at all it costs nothing, unless the store is Shared: then the store is
// asked, so that whatever another process has kept before is seen.
//
// A session that has ended meanwhile has no values. An error: the store could
// not tell.
func (m *Manager) Values(r *http.Request, i Info, space string) (map[string]string, error) {
	if !i.Data && !m.behind() {
		return nil, nil
	}
	id, ok := m.idOf(r, i.Key)
	if !ok {
		return nil, nil
	}
	_, c, _, err := m.unseal(r.Context(), id, i.Key)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return c.space(space)
}

// ChangeValues lets change alter the values (UTF-8) of one space of the request's
// session, and keeps the outcome: it is in the store when ChangeValues
// returns. change says whether it has altered anything; it is called again, with
// what is there then, when somebody else was faster. used says that the request is
// a use of the session; else its times stay.
//
// It goes on when the visitor has gone, and takes 5 s at most. ErrNotFound: the
// session has ended, or has got a new id, and nothing is kept. ErrFull: the data
// would get larger, and may not; nothing is kept. Any other error: the store
// could not tell.
func (m *Manager) ChangeValues(r *http.Request, i Info, space string, used bool, change func(map[string]string) bool) error {
	id, ok := m.idOf(r, i.Key)
	if !ok {
		return ErrNotFound
	}
	ctx, cancel := detach(r.Context())
	defer cancel()
	for {
		err := m.changeValues(ctx, id, i.Key, space, used, change)
		if !errors.Is(err, ErrConflict) {
			return wrap("keep values of", i.Key, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("keep values of session %s: %w: %w", i.Handle, err, ctx.Err())
		}
	}
}

// changeValues tries once. A use that is recorded at the same moment may be
// lost: the session ends earlier then, never later.
func (m *Manager) changeValues(ctx context.Context, id, key, space string, used bool, change func(map[string]string) bool) error {
	rec, c, by, err := m.unseal(ctx, id, key)
	if err != nil {
		return err
	}
	values, err := c.space(space)
	if err != nil {
		return err
	}
	if values == nil {
		values = map[string]string{}
	}
	if !change(values) {
		return nil
	}
	if err := c.setSpace(space, values); err != nil {
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

// idOf gives the id in the request's cookie, if it is that of the session
// with the key.
func (m *Manager) idOf(r *http.Request, key string) (string, bool) {
	value, _, err := m.find(r, m.now())
	if err != nil {
		return "", false
	}
	id, _, _, ok := m.verify(value)
	return id, ok && keyOf(id) == key
}

// write puts content into a record that is about to be stored as version, and
// authenticates all of it, by the secret with the index.
func (m *Manager) write(id, key string, by int, r *Record, c content, version uint64) error {
	k, err := m.ringOf(id)
	if err != nil {
		return err
	}
	if r.Data, err = m.seal(id, key, by, c); err != nil {
		return err
	}
	k.prove(by, key, r, version)
	return nil
}

// unseal returns what the store has of the session, and which of the secrets
// has signed it; the Data of the record are not to be changed.
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

// behind says whether what Find knows may be older than what others have
// written.
func (m *Manager) behind() bool {
	c, ok := m.store.(*Cached)
	return ok && c.life > 0
}

// A space lies among the other values of a session under a key that nobody
// else uses.
const spacePrefix = "space "

func (c *content) space(name string) (values map[string]string, err error) {
	raw, ok := c.Values[spacePrefix+name]
	if !ok {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, fmt.Errorf("decode the values of space %q: %w", name, err)
	}
	return values, nil
}

func (c *content) setSpace(name string, values map[string]string) error {
	if len(values) == 0 {
		c.set(spacePrefix+name, nil)
		return nil
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("encode the values of space %q: %w", name, err)
	}
	c.set(spacePrefix+name, raw)
	return nil
}
