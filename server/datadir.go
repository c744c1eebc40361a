package server

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// makeDataDir makes the folder, for its owner only, if it does not exist. It
// returns an error if others can write to it, since they could replace the keys.
// If others can only list it, it logs a warning: the files are protected by their
// own modes, but their names and sizes are not.
func makeDataDir(dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make data_dir: %w", err)
	}
	st, err := os.Stat(dir)
	if err == nil {
		err = ownedByUs(dir)
	}
	switch {
	case err != nil:
		return fmt.Errorf("read data_dir: %w", err)
	case !st.IsDir():
		return fmt.Errorf("data_dir %s is no folder", dir)
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("data_dir %s can be written by others (%#o); chmod 700 it", dir, st.Mode().Perm())
	case st.Mode().Perm()&0o077 != 0:
		log.Warn("others may list data_dir; chmod 700 it", "data_dir", dir, "mode", fs.FileMode.String(st.Mode()))
	}
	return nil
}

// ownedByUs returns an error if another user could have put the folder there,
// which takes a parent folder that others can write to (such as /tmp). root may
// use a folder of the user that the gate runs as, if the parent is sticky.
func ownedByUs(dir string) error {
	around, err := os.Stat(filepath.Dir(dir))
	if err != nil || around.Mode().Perm()&0o002 == 0 || around.Mode()&os.ModeSticky != 0 && os.Geteuid() == 0 {
		return nil
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if st.Mode()&os.ModeSymlink != 0 || ok && os.Geteuid() != 0 && int64(owner.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("%s is not our own folder, and others can write to the one around it", dir)
	}
	return nil
}
