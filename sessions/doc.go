// Package sessions remembers who has logged in: server-side sessions as
// Django has them, for a proxy.
//
// The cookie carries an id of 256 random bits, signed, and nothing else. The
// store has the rest under the SHA-256 of the id, so that a copy of the store
// opens no session; the data are sealed with a key that follows from the id,
// so that it tells nothing either. What lists need (whose, since when, from
// where) stays outside the seal. All of it is authenticated with such a key:
// whoever can write to the store cannot say whose a session is.
//
// Three rules of the Store settle every race with a logout: Create never
// overwrites, Update and Touch never create, and Update replaces one version
// only. A request that outlives a logout cannot log back in; two requests
// that write at the same time both count, key by key.
//
// A Manager makes sessions out of a store and a cookie. It has two sides.
// Find is for every request that passes: it says whose session it is, from
// memory, and Seen records the use beside it. Open is for our own pages: a
// Session is read and written, and Commit puts it into the answer before the
// first byte.
//
// Every question has three answers: yes, no (ErrNotFound), and could not tell
// (any other error), which is neither a pass nor a logout.
//
// A session ends by the first of: its idle time (Options.Age), counted from
// the last use; its Limit, counted from login, whatever the use and whatever
// the clock does; an Expiry of its own; a logout; a revocation. Create,
// Update and Delete are on disk when they return; a Touch may be lost, which
// ends a session early, never late.
//
// For who knows Django:
//
//	request.session, SessionStore(key)     Manager.Open, Manager.OpenID
//	s[k], s.get, k in s                    Session.Get
//	s[k] = v, del s[k], s.pop, s.keys      Session.Set, Delete, Pop, Keys
//	s.clear, s.flush, s.cycle_key          Session.Clear, Flush, Cycle
//	s.create, s.save                       Session.Create, Save
//	s.set_expiry(n), (date), (0), (None)   Session.SetExpiry(Expiry{After}, {At}, {Close}, {})
//	s.get_expiry_date, _at_browser_close   Session.Expires
//	s.is_empty, accessed, modified         Session.Empty, Accessed, Modified
//	CreateError, UpdateError               ErrExists, ErrNotFound (and ErrConflict)
//	SessionMiddleware                      Manager.Commit
//	login, logout                          Session.Login, Logout
//	update_session_auth_hash               Session.Renew
//	clearsessions                          Manager.Purge
//	SESSION_COOKIE_AGE, SECRET_KEY         Options.Age, Options.Secrets[0]
//	SESSION_EXPIRE_AT_BROWSER_CLOSE        Options.Browser
//	SECRET_KEY_FALLBACKS                   Options.Secrets[1:]
//
// Where it differs on purpose: an id is new at every login; a lost update is
// merged; a use extends a session, by Seen, and not only a save.
package sessions
