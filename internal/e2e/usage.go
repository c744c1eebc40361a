package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// CPU returns the time that the threads of a process have computed for. Unlike
// the time on the clock it is the same on a machine that does other things as
// well. Its resolution is 10 ms.
func CPU(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	// proc(5): the name of the program stands in parentheses; utime and stime are
	// the 12th and 13th field behind it, in hundredths of a second.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			tb.Fatalf("/proc/%d/stat: %v", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// ThreadCPU returns the time that the calling thread has computed for. The
// caller has locked its goroutine to the thread (runtime.LockOSThread).
func ThreadCPU(tb testing.TB) time.Duration {
	tb.Helper()
	const thread = 1 // RUSAGE_THREAD of getrusage(2), which package syscall does not name
	var usage syscall.Rusage
	if err := syscall.Getrusage(thread, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Memory returns a line of /proc/PID/status in bytes: "VmHWM" is what the
// process has ever had at most, "RssAnon" what it has of its own now. It returns
// 0 when there is no such line, as in that of a process which has just ended.
func Memory(tb testing.TB, pid int, line string) int64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if f := strings.Fields(l); len(f) == 3 && f[0] == line+":" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				tb.Fatalf("/proc/%d/status: %v", pid, err)
			}
			return kib << 10
		}
	}
	return 0
}
