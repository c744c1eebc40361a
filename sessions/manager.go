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

// Options are what a Manager is made of. Store and Secrets are required.
type Options struct {
	Store   Store
	Secrets [][]byte // 32 bytes or more each; the first signs and seals, all verify and open

	Cookie           Cookie
	IdleTimeout      time.Duration // a session lives this long after its last use (Django's SESSION_COOKIE_AGE); 0: until Limit alone
	Lifetime         time.Duration // a session lives this long after login (nobody's: after its creation), whatever its use; 0: no such limit
	RememberLifetime time.Duration // the Limit of a session with Login.Remember, which has no Age; 0: Remember counts for nothing
	SessionCookie    bool          // cookies of browser length, unless the session says otherwise
	MaxPerUser       int           // sessions a user may have; a login over it ends the oldest; 0: no limit
	SlideAnonymous   bool          // Seen is called for nobody's sessions as well, so browsers keep their cookies longer than Age

	// DataLimit bounds the bytes of data that ChangeValues and NewValues keep in
	// all sessions together, as they are stored; 0: no limit.
	DataLimit int64

	// TouchEvery is how often a use is written to the store, at most; 0: one
	// tenth of Age, at least a second and at most a minute.
	TouchEvery time.Duration

	// LegacyUntil is until when records of format 1 count, which nothing
	// authenticates: one Limit after the upgrade of this node, by a date that
	// is kept outside of the store. They are written anew when they are used.
	// Zero: they do not count.
	LegacyUntil time.Time

	// OnInvalidRecord is told of a session whose record does not count, once a minute
	// at most, by its handle. It must not block. May be nil.
	OnInvalidRecord func(handle string)

	// OnEnd is told of each session that this Manager ends: logout, expired,
	// limit, replaced (by a new id), flush, and the reasons that are given to
	// Revoke, RevokeUser and RevokeAll (revoked, password, account). It must
	// not block, and may be called by several goroutines at once. May be nil.
	OnEnd func(i Info, reason string)

	Log *slog.Logger // nil: nothing is logged
}

// A Cookie says how the session's cookie looks. The zero value of each field
// is the safe one.
type Cookie struct {
	Name     string        // without the prefix __Host-; "" is gatehouse
	Domain   string        // "": this host only
	Path     string        // "": all, which is what the gate needs; another one suits an application below a path
	SameSite http.SameSite // 0 is Lax
	// Secure says whether the answer to r carries a Secure cookie. It decides
	// the name as well: Secure, no Domain and no Path is __Host-Name. nil: always.
	Secure func(r *http.Request) bool
}

// An Info is what may be known of a session without its id: it opens nothing.
type Info struct {
	Key            string // under which the store has it
	Handle         string // what people call it: the first 16 digits of Key
	User           string // "" for nobody's
	Source         string
	Stamp          string
	Created        time.Time
	Login          time.Time
	Seen           time.Time
	Expires        time.Time
	Limit          time.Time
	Idle           time.Duration // how far a use moves Expires; 0: not at all
	Addr           string
	Agent          string
	Data           bool // there are data, which only the cookie opens
	StaleSignature bool // of Find alone: the cookie was signed with an older secret; see Refresh

	AuthTime time.Time // when they have last proved who they are
	Level    int       // by how many factors: 1 or 2
	Methods  []string  // and how, in the names of RFC 8176; shared, nobody changes them
	Actor    string    // who acts in the name of User; "": User

	ring *ring // of Find and Lookup: authenticates the record; nil in lists
}

const handleLen = 16

// handle gives what people call the session with the key.
func Handle(key string) string { return key[:min(len(key), handleLen)] }

func newInfo(key string, r *Record) Info {
	return Info{
		Key: key, Handle: Handle(key),
		User: r.User, Source: r.Source, Stamp: r.Stamp,
		Created: r.Created, Login: r.Login, Seen: r.Seen, Expires: r.ends(), Limit: r.Limit, Idle: r.Idle,
		Addr: r.Addr, Agent: r.Agent, Data: len(r.Data) > 0,
		AuthTime: r.AuthTime, Level: r.Level, Methods: r.Methods, Actor: r.Actor,
	}
}

// A Manager makes sessions out of a store and a cookie. It belongs to one
// configuration; the store outlives it. Safe for concurrent use.
type Manager struct {
	o     Options
	store Store
	start time.Time // with the monotonic clock

	codecs    []*securecookie.SecureCookie // the first signs
	signedFor time.Duration                // how long a signature counts
	seals     [][]byte                     // what the keys of data are derived with; the first seals
	proved    *bounded[[32]byte, proof]    // cookies that were verified, by the SHA-256 of the value
	rejected  *bounded[string, time.Time]  // when a record was reported, by its key
	gone      *bounded[string, gone]       // sessions that have ended, by their key
	hostName  string                       // Name with the prefix __Host-
	logins    [64]sync.Mutex               // by user: one login at a time counts sessions, where there is a Max
	work      background
	quota     quota
}

// rejectedMax bounds what is remembered of records that do not count.
const rejectedMax = 1024

// forever is how long browsers keep a cookie at most (RFC 6265bis, 5.5).
const forever = 400 * 24 * time.Hour

// NewManager checks the options.
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
		return errors.New("sessions: neither Age nor Limit: sessions would never end")
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

// Close writes the uses that Seen has taken, and stops the work in the
// background. The store stays open. After it the Manager serves still, but
// records no use.
func (m *Manager) Close() { m.work.close() }

// Find says whose session the request's cookie opens: the hot path. It does
// not extend the session, and reads no data.
//
// ErrNotFound: nobody's, because there is no cookie that we have signed, or its
// session has ended, or there are two that live (ErrTwoSessions). Any other
// error: the store could not tell.
func (m *Manager) Find(r *http.Request) (Info, error) {
	now := m.now() // once: a reading of the clock is a twentieth of the whole
	_, p, err := m.find(r, now)
	if err != nil {
		return Info{}, err
	}
	i, err := m.lookup(r.Context(), p.key, p.ring, now)
	i.StaleSignature = p.old && err == nil
	return i, err
}

// Lookup says what is known now of a session that Find has found before, by
// this Manager or another one of the same store: for whoever asks whether it
// lives still.
func (m *Manager) Lookup(ctx context.Context, i Info) (Info, error) {
	return m.lookup(ctx, i.Key, i.ring, m.now())
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
	return i, nil
}

// view is Load for who only reads: what a cache has is not copied.
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

// later gives the wall clock, or the time that has passed since start if
// that leads further.
func later(start time.Time, passed time.Duration, wall time.Time) time.Time {
	wall = wall.Round(0)
	if t := start.Round(0).Add(passed); t.After(wall) {
		return t
	}
	return wall
}

// ended tells Options.Ended.
func (m *Manager) ended(key string, r *Record, reason string) {
	m.gone.put(key, goneBy(r, reason))
	m.quota.add(-len(r.Data))
	if m.o.OnEnd != nil {
		m.o.OnEnd(newInfo(key, r), reason)
	}
}

// writeTime is how long a change of a session may take. It goes on when the
// visitor has gone: who left must not undo a login.
const writeTime = 5 * time.Second

func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), writeTime)
}
