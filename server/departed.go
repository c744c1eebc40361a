package server

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/audit"
)

// A roster remembers which accounts were in users of the configuration. It is
// kept in a file, so an account that was removed is noticed also if the
// configuration was changed while no server ran. The sessions of a removed
// account are ended for good: they do not come back if the account is added
// again. An account that was disabled, or that has another password hash, counts
// as removed. It is safe for concurrent use; its JSON is the file.
type roster struct {
	path string

	mu     sync.Mutex
	Users  map[string]string `json:"users"`  // name to stamp, of accounts that may sign in
	Ending []string          `json:"ending"` // names whose sessions are still to be ended
}

// rosterFile is the name of the roster's file in data_dir.
const rosterFile = "users.json"

// How long the removal of sessions may take at a start or a reload, and how long
// to wait before the next attempt after a failure.
const (
	departedTimeout = 3 * time.Second // how long a start or reload waits for the store
	departedRetry   = 5 * time.Second // how long to wait before the next attempt
)

// openRoster reads the roster from the folder dir. If the file does not exist,
// the roster is empty. If it cannot be read, the roster is empty too and a
// warning is logged: the gate must start nevertheless.
func openRoster(dir string, log *slog.Logger) *roster {
	r := &roster{path: filepath.Join(dir, rosterFile)}
	text, err := os.ReadFile(r.path)
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("a file of data_dir cannot be read, so that accounts which have left the configuration since are not known", "file", r.path, "error", err)
	}
	return r
}

// update records now, which maps the names of the accounts in users to their
// stamps, and returns the names whose sessions have to be ended. They are
// returned again each time until ended is called. The names are valid also with
// an error, which means that the file could not be written.
func (r *roster) update(now map[string]string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.Users
	for name, stamp := range before {
		if now[name] != stamp && !slices.Contains(r.Ending, name) {
			r.Ending = append(r.Ending, name)
		}
	}
	r.Users = now
	if maps.Equal(before, now) {
		return slices.Clone(r.Ending), nil
	}
	return slices.Clone(r.Ending), r.save()
}

// ended records that the sessions of name have been ended. The error is that of
// writing the file.
func (r *roster) ended(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Ending = slices.DeleteFunc(r.Ending, func(n string) bool { return n == name })
	return r.save()
}

// save writes the file. r.mu must be held.
func (r *roster) save() error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeWhole(r.path, string(text)+"\n")
}

// inFile maps the names of the accounts in users that may sign in to their
// stamps.
func (s *site) inFile(ctx context.Context) map[string]string {
	users := map[string]string{}
	for _, u := range s.config.Users {
		if a, err := s.accounts.Account(ctx, u.Name); err == nil && a.Source == "file" && !a.Disabled {
			users[a.Name] = a.Stamp
		}
	}
	return users
}

// endDeparted ends the sessions of accounts that have been removed from users. It
// stops at the first failure of the store; watchDeparted tries again. s.reload
// must be held, unless nothing is served yet.
func (s *Server) endDeparted(ctx context.Context) {
	site := s.site.Load()
	names, err := s.roster.update(site.inFile(ctx))
	if err != nil {
		s.log.WarnContext(ctx, "who is in the configuration is not remembered", "file", s.roster.path, "error", err)
	}
	ctx, cancel := context.WithTimeout(ctx, departedTimeout)
	defer cancel()
	for _, name := range names {
		n, err := site.sessions.RevokeUser(ctx, name, "account", nil)
		if n > 0 {
			s.shared.audit.Event(ctx, audit.SessionRevoked, slog.String("by", "configuration"), slog.String("user", name), slog.Int("count", n), slog.String("reason", "account"))
		}
		if err == nil {
			err = s.roster.ended(name)
		}
		if err != nil {
			s.log.WarnContext(ctx, "sessions of an account that has left the configuration are not ended yet", "user", name, "error", err)
			return
		}
	}
}

// watchDeparted ends the sessions that endDeparted could not end, until ctx is
// done.
func (s *Server) watchDeparted(ctx context.Context) {
	every(ctx, departedRetry, func() {
		s.roster.mu.Lock()
		left := len(s.roster.Ending)
		s.roster.mu.Unlock()
		if left > 0 {
			s.reload.Lock()
			s.endDeparted(ctx)
			s.reload.Unlock()
		}
	})
}
