package admin

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

// Elsewhere returns nil if the sessions of the configuration are in gatehouse.db.
// Otherwise there is no such file to work on, and it returns an error that names
// the store's own tool for the work: "backup" or "compact".
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
		c.Session.Store, what, DatabaseFile, tool)
}

// writeBackup copies the database straight to w, without a spool file: no server
// runs, so nobody waits for the transaction that the copy keeps open.
func (b *Backend) writeBackup(ctx context.Context, w io.Writer, begin func(size int64)) error {
	if err := Elsewhere(b.Site().Config, "backup"); err != nil {
		return err
	}
	if err := boltfile.Copy(ctx, b.File, w, begin); err != nil {
		return fmt.Errorf("back up %s: %w", DatabaseFile, err)
	}
	return nil
}

// backup is the operation whose response is the copy itself and not JSON.
type backup struct{}

// path implements operation.
func (backup) path() string { return "backup" }

// handler makes the copy on the server's own disk first and then sends it. Sent
// directly, the copy would keep a transaction open for as long as the client
// takes to read, and the file would grow meanwhile.
func (backup) handler(b *Backend) http.Handler {
	return handle(func(w http.ResponseWriter, r *http.Request, _ none) {
		c := b.Site().Config
		if err := Elsewhere(c, "backup"); err != nil {
			writeFailure(w, http.StatusConflict, err)
			return
		}
		f, size, err := boltfile.Spool(r.Context(), b.File, c.DataDir)
		if err != nil {
			writeFailure(w, http.StatusConflict, fmt.Errorf("copy %s: %w", DatabaseFile, err))
			return
		}
		defer f.Close() //nolint:errcheck // it has no name, and was read
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		if _, err := io.Copy(w, f); err == nil {
			b.Log.InfoContext(r.Context(), "the database was copied", "bytes", size)
		}
	})
}

// backup reads the copy from the server. It refuses a response without a length:
// without one, a copy that broke off would look complete.
func (c *client) backup(ctx context.Context, w io.Writer, begin func(size int64)) error {
	resp, err := c.post(ctx, backup{}.path(), none{})
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
	if _, err := io.Copy(w, resp.Body); err != nil { // io.ErrUnexpectedEOF if it broke off
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// ErrRunning is returned by Compact while a server runs. A server has
// gatehouse.db to itself, so it has to be stopped first.
var ErrRunning = errors.New("the server is running; stop it first, since the file is its own as long as it runs")

// Compact writes gatehouse.db anew without unused space, replaces the file with
// the result, and returns its size in bytes before and after. It calls making, if
// that is not nil, with the name of the temporary file before that file grows.
// The error is ErrRunning while a server runs. After any error the old file is as
// it was.
func Compact(ctx context.Context, c *config.Config, making func(temp string)) (before, after int64, err error) {
	if err := Elsewhere(c, "compact"); err != nil {
		return 0, 0, err
	}
	running, err := Dial(ctx, c)
	if err == nil {
		return 0, 0, errors.Join(ErrRunning, running.Close())
	}
	if !errors.Is(err, ErrNoServer) {
		return 0, 0, err
	}
	before, after, err = boltfile.Compact(filepath.Join(c.DataDir, DatabaseFile), making)
	if errors.Is(err, boltfile.ErrLocked) { // a server that has just started and does not listen yet
		return 0, 0, ErrRunning
	}
	return before, after, err
}
