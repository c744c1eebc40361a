package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/sessions"
)

// formerFile is the name of the file that holds the date until which this node
// accepts sessions of the previous version, whose records are not authenticated.
// It is beside the store and not in it: otherwise, anybody who can write to a
// shared store could add such a record later.
const formerFile = "old-sessions-until"

// formerUntil returns the date in the file. If there is no file, it writes one:
// now plus the longest life of a session, or just now if fresh, because then no
// session of the previous version exists. The date is never moved, not even by a
// longer max_age. If the date cannot be read, it returns the zero time: no such
// session is accepted.
func formerUntil(c *config.Config, fresh bool, log *slog.Logger) (time.Time, error) {
	path := filepath.Join(c.DataDir, formerFile)
	text, err := os.ReadFile(path) //nolint:gosec // in data_dir
	switch {
	case err == nil:
		until, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
		if err != nil {
			log.Warn("the date in a file of data_dir cannot be read, so sessions of the version before do not count", "file", path, "error", err)
		}
		return until, nil
	case !errors.Is(err, fs.ErrNotExist):
		return time.Time{}, fmt.Errorf("read data_dir: %w", err)
	}
	until := time.Now().UTC().Truncate(time.Second)
	if !fresh {
		until = until.Add(longest(&c.Session.Config)).Add(time.Second)
		log.Info("sessions of the version before count until they are used, or until this date", "until", until, "file", path)
	}
	if err := writeWhole(path, until.Format(time.RFC3339)+"\n"); err != nil {
		return time.Time{}, fmt.Errorf("write to data_dir: %w", err)
	}
	return until, nil
}

// longest returns the longest time for which a session of the previous version
// can live without being used. Each use writes a record of this version.
func longest(c *sessions.Config) time.Duration {
	if c.MaxAge == 0 {
		return max(c.IdleTimeout.D(), c.RememberMe.D())
	}
	return max(c.MaxAge.D(), c.RememberMe.D())
}

// writeWhole writes a file that only its owner can read. The file appears
// complete or, after an error, is as it was before.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
