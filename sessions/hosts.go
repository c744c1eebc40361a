package sessions

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// With Options.LoginHost, one session spans several hosts. Its own cookie is on the
// login host. On each other host the browser has a cookie of that host alone, with an
// id of its own. The record under such an id names its host, and the session's id is
// encrypted in it, under the id of the host: who has the cookie of one host can open
// the session there, and nowhere else. The record of the session has the keys of all
// these records in the clear, so that whoever ends it can remove them, and their ids
// encrypted, so that they follow it to a new id.
//
// A browser gets the cookie of a host by a code: NewCode makes it on the login host,
// and Enter takes it on the other one.

const (
	// codeLife is how long a code counts. It travels in one redirect.
	codeLife = time.Minute

	// codeName is the name under which codes are signed, which no cookie can have.
	codeName = "session code"

	purposeCode = "gatehouse session code v1 "

	// hostKeyPrefix begins the names of the values with the ids of other hosts, in the
	// data of a session.
	hostKeyPrefix = "host "
)

// ErrOtherBrowser means that a code was made for another browser. It wraps
// ErrNotFound.
var ErrOtherBrowser = fmt.Errorf("the code is for another browser: %w", ErrNotFound)

// A passage is what a code carries from one host to the other.
type passage struct {
	State string `json:"state"`
	Next  string `json:"next"`
}

// NewCode returns a signed code of 256 random bits with which the browser of the request can
// enter another host by the request's session: once, within a minute, and only where
// it brings the same state. next is what Enter shall return. ErrNotFound means that
// nobody is signed in.
func (m *Manager) NewCode(r *http.Request, host, state, next string) (code string, err error) {
	i, err := m.Find(r)
	switch {
	case err != nil:
		return "", err
	case i.User == "" || i.Host != "":
		return "", ErrNotFound
	case host == "" || host == m.o.LoginHost:
		return "", fmt.Errorf("sessions: a code for %q, which has no ids of its own", host)
	}
	id := newID()
	if code, err = m.codecs[0].Encode(codeName, []byte(id)); err != nil {
		return "", fmt.Errorf("sign a code: %w", err)
	}
	now := m.now()
	rec := Record{Host: host, Created: now, Seen: now, Expires: now.Add(codeLife), Limit: now.Add(codeLife)}
	c := content{Session: i.ring.id, Passage: &passage{state, next}}
	key := codeKey(id)
	if err := m.write(id, key, 0, &rec, c, 1); err != nil {
		return "", err
	}
	ctx, cancel := detach(r.Context())
	defer cancel()
	if err := m.store.Create(ctx, key, rec); err != nil {
		return "", fmt.Errorf("store a code: %w", err)
	}
	m.quota.add(len(rec.Data))
	return code, nil
}

// codeKey returns the key under which the store has the code with the id. It differs from
// the one that a session with this id would have.
func codeKey(id string) string {
	sum := sha256.Sum256([]byte(purposeCode + id))
	return hex.EncodeToString(sum[:])
}

// Enter takes a code of NewCode, and puts the cookie of the request's host into h. It
// returns the session as it is on this host, and the next of NewCode. The code is used
// up, whatever comes of it.
//
// The data that the browser's session on this host had stay, except the keys spent, if
// it was nobody's or the same session's. The error is ErrNotFound if the code is
// unknown, too old or for another host, and if its session has ended; ErrOtherBrowser,
// with next, if only the state is another one. After any other error it is not known.
// Nothing has changed for the request then.
func (m *Manager) Enter(r *http.Request, h http.Header, code, state string, spent ...string) (i Info, next string, err error) {
	ctx, cancel := detach(r.Context())
	defer cancel()
	rec, c, err := m.takeCode(ctx, code)
	if err != nil {
		return Info{}, "", err
	}
	if host := m.hostOf(r); rec.Host != host {
		return Info{}, "", fmt.Errorf("the code is for %s, and came to %.100q: %w", rec.Host, host, ErrNotFound)
	}
	if subtle.ConstantTimeCompare([]byte(c.Passage.State), []byte(state)) != 1 || state == "" {
		return Info{}, c.Passage.Next, ErrOtherBrowser
	}
	of := m.OpenByID(c.Session)
	of.mu.Lock()
	defer of.mu.Unlock()
	if err := of.load(ctx); err != nil {
		return Info{}, "", err
	}
	if of.rec.User == "" {
		return Info{}, "", fmt.Errorf("the session that the code was made for has ended: %w", ErrNotFound)
	}
	s := m.Open(r)
	s.ctx = ctx
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.branch(ctx, rec.Host, of, spent); err != nil {
		return Info{}, "", err
	}
	i = newInfo(keyOf(of.id), &of.rec)
	i.Host = rec.Host
	return i, c.Passage.Next, s.sendCookie(h)
}

// takeCode removes the code from the store, and returns what it holds if it counts.
// Of several who bring it at the same time, one gets it. What we did not sign costs the
// store nothing, and a code that was used costs it no write.
func (m *Manager) takeCode(ctx context.Context, code string) (rec Record, c content, err error) {
	id, _, _, ok := m.verifyAs(codeName, code)
	if !ok {
		return Record{}, content{}, fmt.Errorf("not a code of ours: %w", ErrNotFound)
	}
	key := codeKey(id)
	if _, err = m.store.Load(ctx, key); err == nil {
		rec, err = m.store.Delete(ctx, key)
	}
	err = m.damagedIs(key, err)
	switch {
	case errors.Is(err, ErrNotFound):
		return Record{}, content{}, fmt.Errorf("the code was used, or is too old: %w", ErrNotFound)
	case err != nil:
		return Record{}, content{}, fmt.Errorf("take a code: %w", err)
	}
	m.quota.add(-len(rec.Data))
	k, err := m.ringOf(id)
	if err != nil {
		return Record{}, content{}, err
	}
	if _, ok := k.verify(key, &rec); !ok {
		m.reject(key, "it was not written by this gate, or for another code")
		return Record{}, content{}, ErrNotFound
	}
	if rec.over(m.now()) {
		return Record{}, content{}, fmt.Errorf("the code is too old: %w", ErrNotFound)
	}
	if c, err = m.open(id, key, rec.Data); err != nil || c.Passage == nil {
		return Record{}, content{}, fmt.Errorf("the code holds nothing: %w", errors.Join(err, ErrNotFound))
	}
	return rec, c, nil
}

// branch makes s the id of the session of on the host, under a new id. s is what the
// browser has had on this host. The caller holds the locks of both.
func (s *Session) branch(ctx context.Context, host string, of *Session, spent []string) error {
	if err := s.load(ctx); err != nil {
		return err
	}
	before := s.state
	if s.rec.User != "" || s.rec.Host != "" && s.content.Session != of.id {
		s.content = content{}
	}
	for _, key := range spent {
		delete(s.content.Values, key)
	}
	s.content.Session, s.content.Remember = of.id, of.content.Remember
	s.rec = Record{Host: host, Limit: of.rec.Limit}
	if err := s.cycle(ctx, true); err != nil {
		s.state = before
		return err
	}
	// From here on the id can be found, but the session does not know it yet.
	if err := of.addHost(ctx, host, s.id); err != nil {
		s.m.work.add(job{key: keyOf(s.id), remove: true})
		s.state = before
		return err
	}
	return nil
}

// addHost stores the id of another host in the session, in place of an earlier one of
// that host. A session has hostsMax of them at most.
func (s *Session) addHost(ctx context.Context, host, id string) error {
	raw, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("encode an id: %w", err)
	}
	had := s.rec.Hosts
	s.change(hostKeyPrefix+host, raw)
	for _, h := range had[:max(0, len(had)+1-hostsMax)] {
		s.change(hostKeyPrefix+h.Host, nil)
	}
	return s.save(ctx)
}

// LeaveHost ends what Enter has begun: it removes the id of the request's host, and
// deletes its cookie. The session goes on, on the login host and on the others. i is
// what Find has returned for the request. It does nothing on the login host.
func (m *Manager) LeaveHost(r *http.Request, h http.Header, i Info) error {
	if i.link == nil {
		return nil
	}
	ctx, cancel := detach(r.Context())
	defer cancel()
	if _, err := m.store.Delete(ctx, i.link.own); err != nil && !errors.Is(err, ErrNotFound) {
		return wrap("leave", i.link.own, err)
	}
	m.ClearCookies(r, h)
	s := m.OpenByID(i.link.ring.id)
	err := s.Delete(ctx, hostKeyPrefix+i.Host)
	if err == nil && s.Modified() {
		err = s.Save(ctx)
	}
	if err != nil && !errors.Is(err, ErrNotFound) { // only lists show it: the id is gone
		m.o.Log.LogAttrs(ctx, slog.LevelWarn, "host not removed from its session", slog.String("session", i.Handle), slog.Any("error", err))
	}
	return nil
}

// hostOf returns the host of the request as Record.Host has it: the name in lower
// case, without a port; "" if it is malformed.
func (m *Manager) hostOf(r *http.Request) string {
	info := web.From(r.Context())
	host := info.Host
	if host == "" {
		host = r.Host
	}
	h, err := httpfield.ParseHost(host, info.Scheme)
	if err != nil {
		return ""
	}
	return h.Name
}

// countsOn reports whether a record counts on the host, by its fields User and Host. A
// session of a user counts on the login host alone, one of nobody everywhere, and the
// id of a host on that host.
func (m *Manager) countsOn(host, user, of string) bool {
	switch {
	case m.o.LoginHost == "":
		return of == ""
	case of != "":
		return of == host && host != m.o.LoginHost
	default:
		return user == "" || host == m.o.LoginHost
	}
}

// A link leads from the id of a host to its session. It does not change.
type link struct {
	own     string // the key of the record of the host's id
	ownRing *ring
	key     string // of the session's record
	ring    *ring
	values  bool // there are values on this host
}

// linkOf returns where the record of a host's id leads, which it decrypts once.
func (m *Manager) linkOf(key string, k *ring, rec *kept) (*link, error) {
	if l := rec.link.Load(); l != nil {
		return l, nil
	}
	c, err := m.open(k.id, key, rec.Data)
	if errors.Is(err, errCorrupted) || err == nil && c.Session == "" {
		m.reject(key, "the session that it leads to cannot be read")
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	of, err := m.ringOf(c.Session)
	if err != nil {
		return nil, err
	}
	l := &link{own: key, ownRing: k, key: keyOf(c.Session), ring: of, values: len(c.Values) > 0}
	rec.link.Store(l)
	return l, nil
}

// follow returns the session that the id of a host leads to, as it is on that host.
// own is what lookup has returned for the id.
func (m *Manager) follow(ctx context.Context, own Info, now time.Time) (Info, error) {
	l := own.link
	i, err := m.lookup(ctx, l.key, l.ring, now)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && (i.User == "" || i.Host != ""):
		m.work.add(job{key: l.own, remove: true})
		return Info{}, ErrNotFound
	case err != nil:
		return Info{}, err
	}
	i.Host, i.link, i.Data = own.Host, l, l.values
	if own.Expires.Before(i.Expires) {
		i.Expires = own.Expires
	}
	i.hostIdle, i.hostSeen = own.Idle, own.Seen
	return i, nil
}

// Covers reports whether the end of i is the end of j: they are of the same session,
// and i is all of it, or what it is on the host of j.
func (i *Info) Covers(j *Info) bool { return i.Key == j.Key && (i.Host == "" || i.Host == j.Host) }

// HostNames returns the other hosts that the session spans, sorted; nil: none.
func (i *Info) HostNames() (names []string) {
	for _, h := range i.Hosts {
		names = append(names, h.Host)
	}
	return names
}

// cookieKey returns the key of the record that the request's cookie leads to.
func (i *Info) cookieKey() string {
	if i.link != nil {
		return i.link.own
	}
	return i.Key
}

// hosts returns the ids of other hosts in the data of a session, for its record.
func (c *content) hosts() (list []HostID) {
	for host, id := range c.hostIDs() {
		list = append(list, HostID{Host: host, Key: keyOf(id)})
	}
	slices.SortFunc(list, func(a, b HostID) int { return strings.Compare(a.Host, b.Host) })
	return list
}

// hostIDs returns the ids of other hosts by host; nil: none.
func (c *content) hostIDs() map[string]string {
	var ids map[string]string
	for name, raw := range c.Values {
		host, ok := strings.CutPrefix(name, hostKeyPrefix)
		var id string
		if !ok || json.Unmarshal(raw, &id) != nil {
			continue
		}
		if ids == nil {
			ids = map[string]string{}
		}
		ids[host] = id
	}
	return ids
}

// moveHosts makes the ids of other hosts follow the session to its new id. Where that
// fails, the browser has to enter the host anew. The caller holds s.mu.
func (s *Session) moveHosts(ctx context.Context) {
	for host, id := range s.content.hostIDs() {
		if err := s.m.moveHost(ctx, id, s.id, s.rec.Limit); err != nil && !errors.Is(err, ErrNotFound) {
			s.m.o.Log.LogAttrs(ctx, slog.LevelWarn, "host has not followed its session to a new id",
				slog.String("session", Handle(keyOf(s.id))), slog.String("host", host), slog.Any("error", err))
		}
	}
}

// moveHost makes the id of a host lead to the session with the id of.
func (m *Manager) moveHost(ctx context.Context, id, of string, limit time.Time) error {
	key := keyOf(id)
	for {
		rec, c, by, err := m.unseal(ctx, id, key)
		if err != nil {
			return err
		}
		c.Session, rec.Limit = of, limit
		if c.Expiry == nil {
			rec.Expires = limit
			if limit.IsZero() {
				rec.Expires = m.now().Add(forever)
			}
		}
		if err := m.write(id, key, by, &rec, c, rec.Version+1); err != nil {
			return err
		}
		if err = m.store.Update(ctx, key, rec); !errors.Is(err, ErrConflict) || ctx.Err() != nil {
			return wrap("move", key, err)
		}
	}
}

// remove removes the id of a host.
func (m *Manager) remove(ctx context.Context, key string) error {
	r, err := m.store.Delete(ctx, key)
	if err != nil {
		return wrap("remove", key, err)
	}
	m.quota.add(-len(r.Data))
	return nil
}

// removeHosts removes in the background the ids of had that are not among those that
// the session has now. Until they are gone they lead to nothing.
func (m *Manager) removeHosts(had, now []HostID) {
	keys := map[string]bool{}
	for _, h := range now {
		keys[h.Key] = true
	}
	for _, h := range had {
		if !keys[h.Key] {
			m.work.add(job{key: h.Key, remove: true})
		}
	}
}
