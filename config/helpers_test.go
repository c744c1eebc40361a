package config

import (
	"io/fs"
	"syscall"
	"testing"
	"time"
)

func makePipe(t *testing.T, path string) {
	t.Helper()
	must(t, syscall.Mkfifo(path, 0o600))
}

// fakeInfo is the description of a file of some user.
type fakeInfo struct {
	mode fs.FileMode
	uid  uint32
}

func fileInfo(mode fs.FileMode, uid uint32) fs.FileInfo { return fakeInfo{mode, uid} }

func (f fakeInfo) Name() string       { return "file" }
func (f fakeInfo) Size() int64        { return 1 }
func (f fakeInfo) Mode() fs.FileMode  { return f.mode }
func (f fakeInfo) ModTime() time.Time { return time.Time{} }
func (f fakeInfo) IsDir() bool        { return false }
func (f fakeInfo) Sys() any           { return &syscall.Stat_t{Uid: f.uid} }

// cpuTime is the processor time of this process up to now.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
