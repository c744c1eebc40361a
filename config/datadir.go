package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// innerFolder is the name of the folder in data_dir that the gate uses if others
// can write to data_dir, as with volumes of containers (mode 2770 or 0777 and
// another owner).
const innerFolder = "gatehouse"

// DataFolder returns the folder to use for data_dir, and whether it is a folder
// inside of it, because others can write to data_dir. If data_dir does not exist
// or cannot be examined, it returns dir itself. It makes nothing.
func DataFolder(dir string) (folder string, inside bool) {
	st, err := os.Stat(dir)
	if err != nil || !st.IsDir() || st.Mode().Perm()&0o022 == 0 {
		return dir, false
	}
	return filepath.Join(dir, innerFolder), true
}

// checkDataDir reports what would prevent the use of data_dir. A folder that does
// not exist yet, or belongs to another user, is no problem: the check may run as
// another user than the gate.
func (c *Config) checkDataDir(x *crossCheck) {
	if c.DataDir == "" {
		return
	}
	dir := under(x.dir, c.DataDir)
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return // it will be made at the start, or belongs to another user
	case err != nil:
		x.Errorf("data_dir", "%s cannot be used: %v; write the path of a folder", quote(c.DataDir), err)
		return
	case !st.IsDir():
		x.Errorf("data_dir", "%s is not a folder; write the path of one", quote(c.DataDir))
		return
	}
	folder, inside := DataFolder(dir)
	if !inside {
		return
	}
	if _, err := os.Lstat(filepath.Join(dir, "gatehouse.db")); err == nil {
		x.Errorf("data_dir", "others can write to %s (mode %s), where a database lies already; chmod 700 it, or move the files into %s, which only their owner may enter", quote(c.DataDir), st.Mode(), quote(folder))
		return
	}
	x.Warnf("data_dir", "others can write to %s (mode %s), so everything is kept in the folder %s inside; give a folder that nobody else can write to, or mount the volume there", quote(c.DataDir), st.Mode(), quote(folder))
}
