package admin

import (
	"context"
	"log/slog"

	"go.etcd.io/bbolt"

	"gatehouse/auth/account"
	"gatehouse/config"
	"gatehouse/internal/audit"
	"gatehouse/proxy"
	"gatehouse/sessions"
)

// The names of the files in data_dir that this package opens.
const (
	DatabaseFile = "gatehouse.db"
	SocketFile   = "control.sock"
)

// A Backend is what operations work on: the parts of the running server, or the
// opened files when no server runs. Its methods are the operations. The fields do
// not change once it is in use, and it is safe for concurrent use.
type Backend struct {
	// Site returns the site in force; each operation calls it and works on that
	// site to its end, also across a reload. Required.
	Site func() Site
	// Accounts is the database of accounts, the only ones that operations can
	// change. Required.
	Accounts *account.Database
	// Store holds the sessions of all sites. Required.
	Store sessions.Store
	// File is gatehouse.db, which backups copy; nil if the configuration keeps
	// nothing in it.
	File *bbolt.DB
	// Server is the running server; nil if none runs.
	Server Server
	// Audit records what was done. nil records nothing.
	Audit *audit.Log
	// Log receives a line for each backup through the control socket. Required if
	// Server is set.
	Log *slog.Logger
	// Release is called by Close of a local Admin, to close the files. nil
	// releases nothing.
	Release func() error
}

// A Site is one configuration together with what was built from it that
// operations need.
type Site struct {
	Config   *config.Config
	Sessions *sessions.Manager
	Accounts *account.Sources // those of the file and those of the database
	Proxy    *proxy.Proxy
}

// A Server is the process itself, as far as operations reach it. It must be safe
// for concurrent use.
type Server interface {
	// Reload reads the configuration again, all or nothing. After an error, the
	// old configuration is in force.
	Reload(ctx context.Context) error
	// Status returns whether visitors can be served, and why not.
	Status(ctx context.Context) Status
}

// A Status is the response of the operation health.
type Status struct {
	Ready   bool   `json:"ready"`
	Version string `json:"version"`
	Why     string `json:"why,omitempty"` // why it is not ready; "" if it is
}

// Small requests and responses. Their JSON is part of the wire format (see
// protocol).
type (
	none  struct{}
	count struct {
		Count int `json:"count"`
	}
	byName struct {
		Name string `json:"name"`
	}
	byID struct {
		ID string `json:"id"`
	}
	disabling struct {
		Name     string `json:"name"`
		Disabled bool   `json:"disabled"`
	}
)

// reload passes the request on to the server; without one it returns ErrNoServer.
func (b *Backend) reload(ctx context.Context, _ none) (none, error) {
	if b.Server == nil {
		return none{}, ErrNoServer
	}
	return none{}, b.Server.Reload(ctx)
}

// health returns the status of the server; without one it returns ErrNoServer.
func (b *Backend) health(ctx context.Context, _ none) (Status, error) {
	if b.Server == nil {
		return Status{}, ErrNoServer
	}
	return b.Server.Status(ctx), nil
}
