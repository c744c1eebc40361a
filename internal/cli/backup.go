package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/spf13/cobra"

	"gatehouse/internal/boltfile"
	"gatehouse/server/admin"
)

// backupCommand returns the command "gatehouse backup". PreRunE refuses a store without a file
// before the database is opened, so that the error names the tool to use.
func (p *cli) backupCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Copy the database, also while the gate runs", Args: exactlyOne("the name of the file to write"),
		Long: `Write a copy of gatehouse.db, as it is at one moment, to FILE, also while the gate
runs. It holds the accounts of the database and all sessions. The file is
readable by its owner alone, is checked, and appears whole or not at all; one
that is there already is left alone, unless --force is given. With - it goes to
standard output, and is not checked.

The keys in data_dir/secrets are not in it: they change when you change them, so
copy that file once, and keep it somewhere else. A database that is restored
without them keeps its accounts, and everybody signs in again.

To restore it: stop the gate, copy FILE to data_dir/gatehouse.db, start it.`,
		Example: `  gatehouse backup gatehouse-backup.db
  gatehouse backup --force gatehouse-backup.db
  gatehouse backup - | age -r RECIPIENT > gatehouse.db.age`,
		PreRunE: work(func(*cobra.Command, []string) error {
			c, err := p.loadConfig()
			if err == nil {
				err = admin.Elsewhere(c, "backup") // before anything is opened
			}
			return err
		}),
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, args []string) error {
			if args[0] == "-" {
				return p.backupToStdout(ctx, a)
			}
			return p.backup(ctx, a, args[0], force)
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE if it is there")
	return cmd
}

// backupToStdout writes the copy to standard output, where it cannot be checked.
// It refuses to write to a terminal.
func (p *cli) backupToStdout(ctx context.Context, a *admin.Admin) error {
	if screenOf(p.Out).isTerminal() {
		return usage("a backup is not for a terminal; send it to a program or a file: gatehouse backup - | gzip > FILE")
	}
	w := &countingWriter{w: p.Out}
	defer p.progress(ctx, "backing up", w.inWords)()
	return a.Backup(ctx, w, w.begin)
}

// backup writes a temporary file beside path, checks it, and renames it to path.
// So path is complete or not there, also after a crash. Without force, an
// existing file is an error.
func (p *cli) backup(ctx context.Context, a *admin.Admin, path string, force bool) (err error) {
	if _, err := os.Lstat(path); err == nil && !force {
		return fmt.Errorf("%s is there already; name another file, or write --force to replace it", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails after success: it has been renamed by then
	w := &countingWriter{w: f}
	stop := p.progress(ctx, "backing up", w.inWords)
	err = errors.Join(a.Backup(ctx, w, w.begin), f.Sync(), f.Close())
	stop()
	if err != nil {
		return err
	}
	// The size was announced before the first byte, so a shorter copy is broken.
	if done, size := w.done.Load(), w.size.Load(); done != size {
		return fmt.Errorf("backup: it broke off after %d bytes of %d; nothing was kept", done, size)
	}
	stop = p.progress(ctx, "checking the copy", func(context.Context) string { return "" })
	err = boltfile.Verify(f.Name())
	stop()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := moveIntoPlace(f.Name(), path, force); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = fmt.Fprintf(p.Out, "wrote %s: %s, checked\n", path, formatBytes(w.done.Load()))
	if screenOf(p.Out).isTerminal() {
		p.tell("The keys in data_dir/secrets are not in it: keep a copy of that file as well.\n")
	}
	return err
}

// moveIntoPlace renames the file temp to path and syncs the folder. It replaces
// an existing file only with force: it makes a hard link, which fails if path
// exists, so no file is lost that appeared during the backup. The link's other
// name is removed by the caller.
func moveIntoPlace(temp, path string, force bool) error {
	if force {
		if err := os.Rename(temp, path); err != nil {
			return err
		}
		return boltfile.SyncFolder(path)
	}
	switch err := os.Link(temp, path); {
	case err == nil:
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already; name another file, or write --force to replace it", path)
	default: // a file system without links
		if err := os.Rename(temp, path); err != nil {
			return err
		}
	}
	return boltfile.SyncFolder(path)
}

// A countingWriter counts the bytes that are written to w, for progress in
// another goroutine.
type countingWriter struct {
	w          io.Writer
	done, size atomic.Int64
}

// begin sets the size in bytes that will be written.
func (c *countingWriter) begin(size int64) { c.size.Store(size) }

// Write implements io.Writer.
func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.done.Add(int64(n))
	return n, err
}

// inWords returns how much has been written, for progress; "" until the size is
// known.
func (c *countingWriter) inWords(context.Context) string {
	size := c.size.Load()
	if size == 0 {
		return ""
	}
	return fmt.Sprintf("%d %% of %s", 100*c.done.Load()/size, formatBytes(size))
}
