package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"

	"gatehouse/config"
	"gatehouse/internal/boltfile"
)

// Elsewhere says what to do instead of the work (backup or compact) where
// nothing lies in gatehouse.db; nil where something does.
func Elsewhere(c *config.Config, work string) error {
	var what, tool string
	switch c.Session.Store {
	case "redis":
		what, tool = "Redis", "redis-cli --rdb FILE"
		if work == "compact" {
			tool = "none is needed, since Redis lets go of what has expired"
		}
	case "postgres":
		what, tool = "PostgreSQL, with the accounts", "pg_dump --file FILE DATABASE"
		if work == "compact" {
			tool = "VACUUM, which it does by itself as a rule"
		}
	default:
		return nil
	}
	return fmt.Errorf("session.store is %s, so that sessions lie in %s and there is no %s; use its own tools: %s",
		c.Session.Store, what, databaseFile, tool)
}

// Backup serves Admin: no server runs, so nobody waits for the file.
func (l *filesAdmin) Backup(ctx context.Context, w io.Writer, begin func(size int64)) error {
	if err := Elsewhere(l.site().config, "backup"); err != nil {
		return err
	}
	if err := boltfile.Copy(ctx, l.db, w, begin); err != nil {
		return fmt.Errorf("back up %s: %w", databaseFile, err)
	}
	return nil
}

// sendBackup answers with the copy itself. The copy is made on the server's
// own disk first: who reads slowly must not keep logins waiting.
func sendBackup(l *filesAdmin) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := decodeRequest[nothing](r); err != nil {
			writeFailure(w, http.StatusBadRequest, err)
			return
		}
		c := l.site().config
		if err := Elsewhere(c, "backup"); err != nil {
			writeFailure(w, http.StatusConflict, err)
			return
		}
		f, size, err := boltfile.Spool(r.Context(), l.db, c.DataDir)
		if err != nil {
			writeFailure(w, http.StatusConflict, fmt.Errorf("copy %s: %w", databaseFile, err))
			return
		}
		defer f.Close() //nolint:errcheck // it has no name, and was read
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		if _, err := io.Copy(w, f); err == nil {
			l.log.InfoContext(r.Context(), "the database was copied", "bytes", size)
		}
	})
}

// Backup serves Admin.
func (c *Client) Backup(ctx context.Context, w io.Writer, begin func(size int64)) error {
	resp, err := c.post(ctx, "backup", nothing{})
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read to its end, or given up
	if resp.ContentLength < 0 {
		return errors.New("backup: the server does not say how long it is")
	}
	if begin != nil {
		begin(resp.ContentLength)
	}
	if _, err := io.Copy(w, resp.Body); err != nil { // io.ErrUnexpectedEOF when it broke off
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// ErrRunning says that the server has to be stopped first.
var ErrRunning = errors.New("the server is running; stop it first, since the file is its own as long as it runs")

// Compact writes gatehouse.db anew without unused space, while no server
// runs (else ErrRunning), and says how many bytes it had and has. making may
// be nil; it is told the file that grows meanwhile.
func Compact(ctx context.Context, c *config.Config, making func(temp string)) (before, after int64, err error) {
	if err := Elsewhere(c, "compact"); err != nil {
		return 0, 0, err
	}
	gate, err := Dial(ctx, c)
	if err == nil {
		return 0, 0, errors.Join(ErrRunning, gate.Close())
	}
	if !errors.Is(err, ErrNoServer) {
		return 0, 0, err
	}
	before, after, err = boltfile.Compact(filepath.Join(c.DataDir, databaseFile), making)
	if Runs(err) {
		return 0, 0, ErrRunning
	}
	return before, after, err
}
