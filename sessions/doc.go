// Package sessions keeps server-side sessions for HTTP: who has logged in, and
// what belongs to them. It has what Django's sessions have, and what a proxy
// needs beside them.
//
// # Starting
//
// A [Manager] makes sessions out of a [Store] and a cookie. One Manager serves a
// whole program, and is safe for concurrent use:
//
//	m, err := sessions.NewManager(sessions.Options{
//		Store:       sessions.NewMemory(), // or NewBolt, redisstore.New, pgstore.New
//		Secrets:     [][]byte{secret},     // 32 random bytes, kept between starts
//		IdleTimeout: 30 * time.Minute,
//		Lifetime:    12 * time.Hour,
//	})
//
// It has two sides. [Manager.Find] is for every request: it returns whose session
// it is, from memory where the store is [Cached], and [Manager.Touch] records the
// use beside the request. [Manager.Open] is for pages that read or write: it
// returns a [Session], and [Manager.Commit] puts it into the answer before the
// first byte.
//
// Every question has three answers: yes, no ([ErrNotFound]), and "could not tell"
// (any other error). The last is neither a pass nor a logout: answer 503.
//
// # What is where
//
// The cookie carries an id of 256 random bits, signed, and nothing else. The
// store has the record under the SHA-256 of the id, so a copy of the store opens
// no session. The session's data are encrypted under a key that is derived from
// the id; what lists need (whose, since when, from where) is not. The whole
// record is authenticated under such a key as well: someone who can write to the
// store, but has neither an id nor the secrets, cannot make a record that counts,
// or turn one person's session into another's.
//
// # Races
//
// Three rules of [Store] settle every race with a logout: Create never
// overwrites, Update and Touch never create, and Update replaces one version
// only. A request that outlives a logout cannot log back in. Two requests that
// write to one session at the same time both count, key by key: the second is
// merged into what the first has stored.
//
// # When a session ends
//
// It ends by whichever comes first: its idle timeout, counted from the last use;
// its lifetime, counted from login, whatever the use and whatever the clock does;
// an [Expiry] of its own; a logout; a revocation. Create, Update and Delete are
// durable when they return, as far as the store promises it. A Touch may be lost
// in a crash, which ends a session early, never late.
//
// # Several hosts
//
// With Options.LoginHost, a session of a user counts on that host alone, and each
// other host gets an id of its own for it: [Manager.NewCode] on the login host makes a
// code, and [Manager.Enter] on the other one takes it. Find returns the same session on
// all of them.
//
// # Stores
//
// [Memory] and [Bolt] are here. sessions/redisstore and sessions/pgstore have
// packages of their own, so that their clients are compiled only where they are
// used. Put [Cached] in front of any of them except Memory. To write another one,
// implement [Store] and run sessions/storetest against it; the example of Store is
// a complete one.
//
// # For readers who know Django
//
//	request.session, SessionStore(key)     Manager.Open, Manager.OpenByID
//	s[k], s.get, k in s                    Session.Get
//	s[k] = v, del s[k], s.pop, s.keys      Session.Set, Delete, Pop, Keys
//	s.clear, s.flush, s.cycle_key          Session.Clear, Flush, Cycle
//	s.create, s.save                       Session.Create, Save
//	s.set_expiry(n), (date), (0), (None)   Session.SetExpiry(Expiry{After}, {At}, {AtBrowserClose}, {})
//	s.get_expiry_date, _at_browser_close   Session.Expires
//	s.is_empty, accessed, modified         Session.Empty, Accessed, Modified
//	CreateError, UpdateError               ErrExists, ErrNotFound (and ErrConflict)
//	SessionMiddleware                      Manager.Commit
//	login, logout                          Session.Login, Logout
//	update_session_auth_hash               Session.Renew
//	clearsessions                          Manager.DeleteExpired
//	SESSION_COOKIE_AGE, SECRET_KEY         Options.IdleTimeout, Options.Secrets[0]
//	SESSION_EXPIRE_AT_BROWSER_CLOSE        Options.SessionCookie
//	SECRET_KEY_FALLBACKS                   Options.Secrets[1:]
//
// Gatehouse itself calls only a part of these. The rest (Cycle, Flush, Pop,
// Clear, Keys, Session.SetExpiry) is kept because Django's tests of sessions are
// run against this package, and programs that come from Django expect it.
//
// It differs on purpose in three places: an id is new at every login, a lost
// update is merged, and a use extends a session (Touch), not only a save.
package sessions
