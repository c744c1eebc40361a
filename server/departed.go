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

// A roster remembers who was in users of the configuration, so that accounts
// that have left it are known, also where it was changed while no server ran.
// Their sessions end for good: an account that is put back does not bring them
// back. An account that was disabled, or has another hash, has left as well.
type roster struct {
	path string

	mu     sync.Mutex
	Users  map[string]string `json:"users"`  // name: stamp, of those that may sign in
	Ending []string          `json:"ending"` // names whose sessions are still to be ended
}

// rosterFile lies in data_dir.
const rosterFile = "users.json"

const (
	departedPatience = 3 * time.Second // for a store that is to end sessions, at a start or reload
	departedAgain    = 5 * time.Second // until it is asked once more
)

// openRoster reads the file. One that is not there, or cannot be read, knows
// nobody.
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

// update takes over who is in users now, and returns who is to be ended.
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

// ended takes a name off.
func (r *roster) ended(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Ending = slices.DeleteFunc(r.Ending, func(n string) bool { return n == name })
	return r.save()
}

func (r *roster) save() error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeWhole(r.path, string(text)+"\n")
}

// inFile returns the accounts of users that may sign in, with their stamps.
func (s *site) inFile(ctx context.Context) map[string]string {
	users := map[string]string{}
	for _, u := range s.config.Users {
		if a, err := s.accounts.Account(ctx, u.Name); err == nil && a.Source == "file" && !a.Disabled {
			users[a.Name] = a.Stamp
		}
	}
	return users
}

// endDeparted ends the sessions of accounts that have left users. What the
// store does not let it end now, watchDeparted ends later.
func (s *Server) endDeparted(ctx context.Context) {
	site := s.site.Load()
	names, err := s.roster.update(site.inFile(ctx))
	if err != nil {
		s.log.WarnContext(ctx, "who is in the configuration is not remembered", "file", s.roster.path, "error", err)
	}
	ctx, cancel := context.WithTimeout(ctx, departedPatience)
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

// watchDeparted ends what could not be ended, until ctx is done.
func (s *Server) watchDeparted(ctx context.Context) {
	tick := time.NewTicker(departedAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.roster.mu.Lock()
		left := len(s.roster.Ending)
		s.roster.mu.Unlock()
		if left > 0 {
			s.reload.Lock()
			s.endDeparted(ctx)
			s.reload.Unlock()
		}
	}
}
