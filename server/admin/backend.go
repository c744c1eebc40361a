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

// The files of data_dir that this package knows.
const (
	DatabaseFile = "gatehouse.db"
	SocketFile   = "control.sock"
)

// A Backend is what operations work on: that of the running server, or the
// files when no server runs. Its methods are the operations. Safe for
// concurrent use.
type Backend struct {
	// Site returns the site in force. Required.
	Site func() Site
	// Accounts are those that operations can change. Required.
	Accounts *account.Database
	// Store holds the sessions of all sites. Required.
	Store sessions.Store
	// File is gatehouse.db, for the backup; nil if nothing lies in it.
	File *bbolt.DB
	// Server is the running server; nil if none runs.
	Server Server
	// Audit is told what was done; nil: nobody is.
	Audit *audit.Log
	// Log is told of backups. Required with Server.
	Log *slog.Logger
	// Release is called by Close of a local Admin; may be nil.
	Release func() error
}

// A Site is a configuration, and what was built from it that operations need.
type Site struct {
	Config   *config.Config
	Sessions *sessions.Manager
	Accounts *account.Sources // of the file and of the database
	Proxy    *proxy.Proxy
}

// A Server is what the control socket does to the process itself.
type Server interface {
	// Reload reads the configuration again, all or nothing.
	Reload(ctx context.Context) error
	// Status returns whether visitors can be served.
	Status(ctx context.Context) Status
}

// A Status is the response of health.
type Status struct {
	Ready   bool   `json:"ready"`
	Version string `json:"version"`
	Why     string `json:"why,omitempty"` // why it is not ready
}

// Small requests and responses.
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

func (b *Backend) reload(ctx context.Context, _ none) (none, error) {
	if b.Server == nil {
		return none{}, ErrNoServer
	}
	return none{}, b.Server.Reload(ctx)
}

func (b *Backend) health(ctx context.Context, _ none) (Status, error) {
	if b.Server == nil {
		return Status{}, ErrNoServer
	}
	return b.Server.Status(ctx), nil
}
