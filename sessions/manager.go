package sessions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/securecookie"
)

// Options are what a Manager is made of. Store, Secrets, and one of IdleTimeout
// and Lifetime are required; the zero value of every other field is a default.
type Options struct {
	// Store keeps the sessions. It stays the caller's, who closes it after the
	// Manager.
	Store Store

	// Secrets sign cookies and protect records, 32 random bytes or more each. The
	// first signs and encrypts; all of them verify and decrypt, so that a new one
	// can be put in front while sessions of the older ones go on (Django's
	// SECRET_KEY and SECRET_KEY_FALLBACKS).
	Secrets [][]byte

	// Cookie is how the session's cookie looks. The zero Cookie is __Host-gatehouse,
	// Secure, HttpOnly and SameSite=Lax.
	Cookie Cookie

	// LoginHost is the one host on which sessions of users count, and other hosts
	// have ids of their own for them: see NewCode and Enter. "": every session counts
	// on the host that its cookie comes to.
	LoginHost string

	// IdleTimeout is how long a session lives after its last use (Django's
	// SESSION_COOKIE_AGE). 0: as long as Lifetime says.
	IdleTimeout time.Duration

	// Lifetime is how long a session lives after the login, or after its creation
	// while it is nobody's, whatever its use. 0: no such limit.
	Lifetime time.Duration

	// RememberLifetime takes the place of both for a session with Login.Remember:
	// it lives this long after the login, used or not. 0: Remember is ignored.
	RememberLifetime time.Duration

	// SessionCookie makes cookies that browsers forget when they close (Django's
	// SESSION_EXPIRE_AT_BROWSER_CLOSE), except for sessions with Login.Remember
	// or an Expiry of their own.
	SessionCookie bool

	// MaxPerUser is how many sessions a user may have. A login over it ends the
	// oldest ones. 0: no limit.
	MaxPerUser int

	// SlideAnonymous says that Touch is called for nobody's sessions as well as
	// for those of users. Their cookies are then made to last until the end of
	// Lifetime, because a use can prolong the session without a new cookie.
	SlideAnonymous bool

	// DataLimit bounds the bytes, as stored, of the data that ChangeValues and
	// NewValues keep in all sessions together. 0: no limit.
	DataLimit int64

	// TouchEvery is how often Touch writes the uses of one session to the store,
	// at most. 0: a tenth of IdleTimeout, but a second at least and a minute at
	// most.
	TouchEvery time.Duration

	// LegacyUntil is until when records of format 1 count, which are not
	// authenticated: somebody who can write to the store can make one. It should be
	// one Lifetime after the upgrade of this node, and the date be kept outside of
	// the store. Such records are written anew at their first use. The zero time:
	// they do not count.
	LegacyUntil time.Time

	// OnInvalidRecord is called with the handle of a session whose record is
	// damaged or fails authentication, once a minute at most for each. The session
	// does not exist for its owner. It must not block. nil: nobody is told.
	OnInvalidRecord func(handle string)

	// OnEnd is called for each session that this Manager ends, after it has
	// ended, with the reason: logout, flush, expired, limit (MaxPerUser), replaced
	// (by a new id), or what was given to Revoke, RevokeUser or RevokeAll. Several
	// goroutines may call it at the same time. It must not block. nil: nobody is
	// told.
	OnEnd func(i Info, reason string)

	// Log receives warnings and errors of work in the background. nil: they are
	// discarded.
	Log *slog.Logger
}

// A Cookie says how the session's cookie looks. The zero value of each field is
// the safe one.
type Cookie struct {
	// Name is the name without the prefix __Host-, which is added where browsers
	// accept it: in a Secure cookie without Domain and Path. "": gatehouse.
	Name string

	// Domain sends the cookie to all hosts of a domain, each of which can then
	// also set one. "": to this host alone.
	Domain string

	// Path sends the cookie to paths below it only, for an application that has a
	// part of a host. "": to all, which is what a proxy needs.
	Path string

	// SameSite is the attribute of that name. 0: Lax.
	SameSite http.SameSite

	// Secure reports whether the answer to r carries a Secure cookie. nil: always.
	Secure func(r *http.Request) bool
}

// An Info is what may be known of a session without its id. It opens nothing, so
// it may be listed and logged. Fields that are not explained here are those of
// Record.
type Info struct {
	Key     string // under which the store has the record
	Handle  string // the short name of the session, for people; see Handle
	User    string // "": nobody's
	Source  string
	Stamp   string
	Created time.Time
	Login   time.Time
	Seen    time.Time
	Expires time.Time // when the session ends unless it is used
	Limit   time.Time
	Idle    time.Duration
	Addr    string
	Agent   string
	Data    bool // there are data, which only the cookie decrypts; with Host, on that host

	// Host is the host whose id the cookie has, set by Find with Options.LoginHost.
	// "": the cookie has the session's own id.
	Host  string
	Hosts []HostID // the session's ids on other hosts; shared: must not be changed

	// StaleSignature is set by Find when an older secret has signed the cookie;
	// see Refresh.
	StaleSignature bool

	AuthTime time.Time
	Level    int
	Methods  []string // shared: must not be changed
	Actor    string

	ring *ring // set by Find and Lookup: authenticates the record; nil in lists
	link *link // with Host: where the cookie leads; else nil

	hostIdle time.Duration // Idle and Seen of the host's id, with Host
	hostSeen time.Time
}

const handleLen = 16

// Handle returns the short name of the session under key, which people use and
// logs hold: its first 16 digits.
func Handle(key string) string { return key[:min(len(key), handleLen)] }

func newInfo(key string, r *Record) Info {
	return Info{
		Key: key, Handle: Handle(key),
		User: r.User, Source: r.Source, Stamp: r.Stamp,
		Created: r.Created, Login: r.Login, Seen: r.Seen, Expires: r.ends(), Limit: r.Limit, Idle: r.Idle,
		Addr: r.Addr, Agent: r.Agent, Data: len(r.Data) > 0,
		AuthTime: r.AuthTime, Level: r.Level, Methods: r.Methods, Actor: r.Actor,
		Host: r.Host, Hosts: r.Hosts,
	}
}

// A Manager makes sessions out of a store and a cookie. It is safe for concurrent
// use. It never changes: for other options make another Manager of the same store,
// which knows the same sessions, and close the old one.
type Manager struct {
	o     Options
	store Store
	start time.Time // with a reading of the monotonic clock; see now

	codecs    []*securecookie.SecureCookie // the first signs
	signedFor time.Duration                // how long a signature counts
	seals     [][]byte                     // what the keys of data are derived with; the first seals
	proved    *bounded[[32]byte, proof]    // cookies that were verified, by the SHA-256 of the value
	rejected  *bounded[string, time.Time]  // when a record was reported, by its key
	gone      *bounded[string, gone]       // sessions that have ended, by their key
	hostName  string                       // Name with the prefix __Host-
	logins    [64]sync.Mutex               // by user: one login at a time counts sessions, if MaxPerUser is set
	work      background
	quota     quota
}

// rejectedMax bounds what is remembered of records that do not count.
const rejectedMax = 1024

// forever is how long browsers keep a cookie at most (RFC 6265bis, 5.5).
const forever = 400 * 24 * time.Hour

// NewManager returns a Manager, or an error that names the option which is
// missing or cannot be. It asks the store nothing.
func NewManager(o Options) (*Manager, error) {
	if o.Cookie.Name == "" {
		o.Cookie.Name = "gatehouse"
	}
	if o.Cookie.Path == "" {
		o.Cookie.Path = "/"
	}
	if o.Cookie.SameSite == 0 {
		o.Cookie.SameSite = http.SameSiteLaxMode
	}
	if o.TouchEvery == 0 {
		o.TouchEvery = min(max(o.IdleTimeout/10, time.Second), time.Minute)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	m := &Manager{
		o: o, store: o.Store, start: time.Now(), hostName: hostPrefix + o.Cookie.Name,
		signedFor: forever,
		proved:    newBounded[[32]byte, proof](provedMax, func(k [32]byte) byte { return k[0] }),
		rejected:  newBounded[string, time.Time](rejectedMax, lastByte),
		gone:      newBounded[string, gone](goneMax, lastByte),
	}
	if o.Lifetime > 0 {
		m.signedFor = min(max(o.Lifetime, o.RememberLifetime), forever)
	}
	if err := m.deriveKeys(o.Secrets); err != nil {
		return nil, err
	}
	m.work.do = m.doWork
	m.quota.limit = o.DataLimit
	return m, nil
}

func (o *Options) check() error {
	switch {
	case o.Store == nil:
		return errors.New("sessions: no store")
	case len(o.Secrets) == 0:
		return errors.New("sessions: no secrets")
	case o.DataLimit < 0, o.IdleTimeout < 0, o.Lifetime < 0, o.RememberLifetime < 0, o.TouchEvery < 0, o.MaxPerUser < 0:
		return errors.New("sessions: a duration or limit is negative")
	case o.IdleTimeout == 0 && o.Lifetime == 0:
		return errors.New("sessions: neither IdleTimeout nor Lifetime: sessions would never end")
	case !validCookieName(o.Cookie.Name):
		return fmt.Errorf("sessions: %q is not the name of a cookie", o.Cookie.Name)
	case !validCookiePath(o.Cookie.Path):
		return fmt.Errorf("sessions: %q is not the path of a cookie", o.Cookie.Path)
	case strings.HasPrefix(o.Cookie.Name, hostPrefix), strings.HasPrefix(o.Cookie.Name, "__Secure-"):
		return fmt.Errorf("sessions: the prefix of the cookie's name %q is added here", o.Cookie.Name)
	}
	for i, s := range o.Secrets {
		if len(s) < secretMin {
			return fmt.Errorf("sessions: secret %d has %d bytes, fewer than %d", i, len(s), secretMin)
		}
	}
	return nil
}

// Close waits until the uses that Touch has taken are written, and ends the work
// in the background. The store stays open. The Manager may still be used after
// it, but records no more uses.
func (m *Manager) Close() { m.work.close() }

// Find returns the session that the request's cookie opens. It is made to be
// called for every request: with a Cached store it mostly asks memory alone. It
// does not prolong the session (see Touch), and decrypts no data.
//
// ErrNotFound means that the request has no session: it brings no cookie that we
// have signed, or its session has ended, or there are two that live
// (ErrTwoSessions). After any other error it is not known.
func (m *Manager) Find(r *http.Request) (Info, error) {
	now := m.now() // once: a reading of the clock is a twentieth of the whole
	_, p, err := m.find(r, now)
	if err != nil {
		return Info{}, err
	}
	i, err := m.lookupFor(r, p, now)
	i.StaleSignature = p.old && err == nil
	return i, err
}

// lookupFor returns the session that a cookie of the request opens on its host.
func (m *Manager) lookupFor(r *http.Request, p proof, now time.Time) (Info, error) {
	i, err := m.lookup(r.Context(), p.key, p.ring, now)
	switch {
	case err != nil, m.o.LoginHost == "" && i.Host == "":
		return i, err
	case !m.countsOn(m.hostOf(r), i.User, i.Host):
		return Info{}, ErrNotFound
	case i.Host != "":
		return m.follow(r.Context(), i, now)
	}
	return i, nil
}

// Lookup returns what is known now of a session that Find has returned before, by
// this Manager or another one of the same store. It is for long requests, which
// ask again and again whether their session still lives. Its errors are those of
// Find.
func (m *Manager) Lookup(ctx context.Context, i Info) (Info, error) {
	now := m.now()
	if i.link == nil {
		return m.lookup(ctx, i.Key, i.ring, now)
	}
	own, err := m.lookup(ctx, i.link.own, i.link.ownRing, now)
	if err != nil {
		return Info{}, err
	}
	return m.follow(ctx, own, now)
}

func (m *Manager) lookup(ctx context.Context, key string, k *ring, now time.Time) (Info, error) {
	rec, err := m.view(ctx, key, now)
	err = m.damagedIs(key, err)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && rec.over(now):
		m.work.add(job{key: key, expired: true}) // perhaps it has only just ended
		return Info{}, ErrNotFound
	case err != nil:
		return Info{}, fmt.Errorf("find session %s: %w", Handle(key), err)
	}
	r := &rec.Record
	if !rec.proved.Load() {
		own := rec.Record // what a cache has is not changed
		r = &own
		_, old, err := m.admit(k, key, r)
		if err != nil {
			return Info{}, err
		}
		if rec.proved.Store(!old); old {
			m.work.add(job{key: key, ring: k, rewrite: true})
		}
	}
	i := newInfo(key, r)
	i.ring = k
	if i.Host != "" {
		if i.link, err = m.linkOf(key, k, rec); err != nil {
			return Info{}, err
		}
	}
	return i, nil
}

// view is Load without a copy of what a cache holds: callers only read.
func (m *Manager) view(ctx context.Context, key string, now time.Time) (*kept, error) {
	if c, ok := m.store.(*Cached); ok {
		return c.view(ctx, key, now)
	}
	r, err := m.store.Load(ctx, key)
	return &kept{Record: r}, err
}

// now is the time by which sessions end. A wall clock that is set back does
// not turn it back while the process runs, so that nobody's session gets
// longer by it; one that is set forward ends sessions early.
func (m *Manager) now() time.Time {
	now := time.Now()
	return later(m.start, now.Sub(m.start), now)
}

// later returns wall, or the time that has passed since start if that leads
// further.
func later(start time.Time, passed time.Duration, wall time.Time) time.Time {
	wall = wall.Round(0)
	if t := start.Round(0).Add(passed); t.After(wall) {
		return t
	}
	return wall
}

// ended takes note of a session that has just been removed, and tells
// Options.OnEnd.
func (m *Manager) ended(key string, r *Record, reason string) {
	m.quota.add(-len(r.Data))
	if r.Host != "" {
		return // no session has ended
	}
	m.gone.put(key, goneBy(r, reason))
	m.removeHosts(r.Hosts, nil)
	if m.o.OnEnd != nil {
		m.o.OnEnd(newInfo(key, r), reason)
	}
}

// writeTime is how long a change of a session may take. It goes on when the
// client has gone: closing a connection must not undo a login or a logout.
const writeTime = 5 * time.Second

// detach returns a context for such a change.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), writeTime)
}
