package server

import (
	"errors"
	"log/slog"

	"gatehouse/auth/password"
	"gatehouse/auth/throttle"
	"gatehouse/config"
	"gatehouse/proxy"
	"gatehouse/server/admin"
)

// OpenFiles returns the Admin of a gate that does not run, which works on its
// files in this process. The caller closes it. loginHTML is the built-in login
// page. The error is boltfile.ErrLocked if the gate runs after all.
func OpenFiles(c *config.Config, loginHTML string, log *slog.Logger) (*admin.Admin, error) {
	st, err := openStorage(c, log)
	if err != nil {
		return nil, err
	}
	p := shared{
		storage: st, hasher: password.NewHasher(password.Options{}), throttle: throttle.New(c.Login.Throttle),
		live: new(proxy.ActiveRequests), loginHTML: loginHTML, log: log, warnings: new(warnings),
	}
	s, err := p.build(c)
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	b := st.backend(func() *site { return s })
	b.Log = log
	b.Release = func() error { s.retire(); return st.close() }
	return admin.Local(b), nil
}

// backend returns what an administrator's operations work on. inForce returns the
// site in force and is called for each operation. The caller sets Log, and Server
// or Release.
func (s *storage) backend(inForce func() *site) *admin.Backend {
	return &admin.Backend{
		Site: func() admin.Site {
			now := inForce()
			return admin.Site{Config: now.config, Sessions: now.sessions, Accounts: now.accounts, Proxy: now.proxy}
		},
		Accounts: s.accounts, Store: s.store, File: s.db,
	}
}
