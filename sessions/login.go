package sessions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Login says who has just proved who they are, how, and from where.
type Login struct {
	// User is the name of the account, and Source the source of accounts that has
	// it. User is required.
	User, Source string

	// Stamp is a value of the account that changes with its password. The session
	// keeps it, so that the caller can end sessions of another stamp (Django's
	// session auth hash).
	Stamp string

	// Addr and Agent are the client's address and User-Agent, for lists.
	Addr, Agent string

	// Remember is "keep me signed in": the session lives for
	// Options.RememberLifetime.
	Remember bool

	// Methods are how they have proved it, in the names of RFC 8176, 16 at most.
	// nil: MethodPassword.
	Methods []string

	// Level is by how many factors. 0: 1.
	Level int

	// Actor is who acts in the name of User. "": User.
	Actor string
}

// MethodPassword is the name of a password in RFC 8176.
const MethodPassword = "pwd"

// agentMax is how much of a User-Agent is kept.
const agentMax = 256

// Login makes the session l.User's, always under a new id (Django's auth.login).
// Its data stay if it was nobody's, or this user's with the same stamp, and are
// removed if it was somebody else's. The record is in the store when Login
// returns; Commit sends the cookie. If the user has more sessions than
// Options.MaxPerUser then, the oldest ones end.
func (s *Session) Login(ctx context.Context, l Login) error {
	if l.User == "" {
		return errors.New("sessions: a login without a user")
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return err
	}
	if s.rec.Host != "" || s.bound && s.host != s.m.o.LoginHost {
		return fmt.Errorf("sessions: a login on %q, which is not the login host", s.host)
	}
	if s.m.o.MaxPerUser > 0 { // count after creating, one at a time: two logins at once must not end each other
		mu := s.m.loginLock(l.User)
		mu.Lock()
		defer mu.Unlock()
	}
	before := s.state
	s.become(l)
	if err := s.cycle(ctx, true); err != nil {
		s.state = before
		return err
	}
	if s.m.o.MaxPerUser > 0 {
		s.m.endOldest(ctx, l.User, keyOf(s.id))
	}
	return nil
}

// become puts the login into the record that is about to be created.
func (s *Session) become(l Login) {
	r := &s.rec
	if r.User != "" && (r.User != l.User || r.Source != l.Source || r.Stamp != l.Stamp) {
		s.content = content{}
	}
	s.content.Remember = l.Remember && s.m.o.RememberLifetime > 0
	now := s.m.now()
	r.User, r.Source, r.Stamp = l.User, l.Source, l.Stamp
	r.Addr, r.Agent = l.Addr, cut(l.Agent, agentMax)
	r.Login, r.Limit = now, time.Time{}
	r.AuthTime, r.Level, r.Methods, r.Actor = now, max(1, l.Level), l.Methods, l.Actor
	if len(l.Methods) == 0 {
		r.Methods = []string{MethodPassword}
	}
	switch o := &s.m.o; {
	case s.content.Remember:
		r.Limit = now.Add(o.RememberLifetime)
	case o.Lifetime > 0:
		r.Limit = now.Add(o.Lifetime)
	}
}

// Renew gives the session a new id and a new stamp, after its owner has changed
// the password (Django's update_session_auth_hash). It returns ErrNotFound if the
// session has ended meanwhile, and does not bring it back.
func (s *Session) Renew(ctx context.Context, stamp string) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return err
	}
	if s.id == "" {
		return ErrNotFound
	}
	before := s.state
	s.rec.Stamp = stamp
	if err := s.cycle(ctx, false); err != nil {
		s.state = before
		return err
	}
	return nil
}

// loginLock returns the lock that logins of the user hold; some users share one.
func (m *Manager) loginLock(user string) *sync.Mutex {
	h := fnv.New32a()
	_, _ = h.Write([]byte(user))
	return &m.logins[h.Sum32()%uint32(len(m.logins))]
}

// loginSkew is how far ahead of ours the clock of another node may be before its
// logins are taken for older than the present one; see sortLogins.
const loginSkew = 10 * time.Second

// endOldest ends the user's oldest sessions, by the time of login, until no more
// than MaxPerUser are left. It is called after the session with the key own was
// created. All nodes put sessions into the same order, so that two logins at the
// same time end the same ones and not each other: the one that lists last sees all
// of them. If it fails, the login stands; the next one counts again.
func (m *Manager) endOldest(ctx context.Context, user, own string) {
	var all []Info
	for i, err := range m.List(ctx, Query{User: user}) {
		if err != nil {
			m.o.Log.Error("sessions not counted at login", slog.Any("error", err))
			return
		}
		all = append(all, i)
	}
	sortLogins(all, own)
	for _, i := range all[:max(0, len(all)-m.o.MaxPerUser)] {
		if err := m.revoke(ctx, i.Key, "limit"); err != nil && !errors.Is(err, ErrNotFound) {
			m.o.Log.Error("oldest session not ended", slog.String("session", i.Handle), slog.Any("error", err))
			return
		}
	}
}

// sortLogins sorts by the time of login, the oldest first. A session that claims
// to be newer than own by more than loginSkew was made by a node whose clock is
// wrong, and counts as older than all others.
func sortLogins(all []Info, own string) {
	var now time.Time
	for _, i := range all {
		if i.Key == own {
			now = i.Login
		}
	}
	slices.SortFunc(all, func(a, b Info) int {
		if wrong := a.Login.Sub(now) > loginSkew; !now.IsZero() && wrong != (b.Login.Sub(now) > loginSkew) {
			if wrong {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Login.Compare(b.Login), strings.Compare(a.Key, b.Key))
	})
}

// cut returns the first n bytes of s at most, without what is not valid UTF-8.
func cut(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}
