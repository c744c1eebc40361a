package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, which Linux shows as a hundredth of a
// second everywhere. The kernel itself counts in nanoseconds, so the rounding
// does not add up: it is one tick for each process and reading.
const tick = time.Second / 100

// A usage is what the processes of a group have used so far.
type usage struct {
	cpu      time.Duration // user and system; of ended children too
	resident int64         // bytes in memory now
	peak     int64         // the most there ever was, or since clearPeak
}

// usageOf returns the sum over the processes of a group.
func usageOf(group int) (usage, error) {
	members, err := membersOf(group)
	if err != nil {
		return usage{}, err
	}
	var u usage
	for _, m := range members {
		u.cpu += m.cpu
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
		if err != nil {
			continue // has ended meanwhile
		}
		u.resident += kibibytes(text, "VmRSS:")
		u.peak += kibibytes(text, "VmHWM:")
	}
	return u, nil
}

// clearPeak resets the peak to what is resident now.
func clearPeak(group int) error {
	members, err := membersOf(group)
	for _, m := range members {
		err = errors.Join(err, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", m.pid), []byte("5"), 0))
	}
	return err
}

// membersOf returns the processes of a group.
func membersOf(group int) ([]stat, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var list []stat
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // of /proc
		if err != nil {
			continue // has ended meanwhile
		}
		s, err := parseStat(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if s.group == group {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("process %d is not there any more", group)
	}
	return list, nil
}

// A stat is what we want of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	pid, group int
	ended      bool          // and nobody has asked how
	cpu        time.Duration // utime, stime, cutime, cstime
}

var errStat = errors.New("not the fields of proc_pid_stat(5)")

func parseStat(text []byte) (stat, error) {
	// The second field is the name in brackets, which may hold anything.
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, errStat
	}
	fields := strings.Fields(string(text[end+1:])) // from the third on
	if len(fields) < 15 {
		return stat{}, errStat
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:open])))
	if err != nil {
		return stat{}, errStat
	}
	group, err := strconv.Atoi(fields[2])
	if err != nil {
		return stat{}, errStat
	}
	s := stat{pid: pid, group: group, ended: fields[0] == "Z"}
	for _, f := range fields[11:15] {
		n, err := strconv.ParseInt(f, 10, 48)
		if err != nil {
			return stat{}, errStat
		}
		s.cpu += time.Duration(n) * tick
	}
	return s, nil
}

// kibibytes returns the bytes of a line such as "VmRSS:  1234 kB"; 0 when it is
// missing.
func kibibytes(status []byte, name string) int64 {
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 48)
		if err != nil {
			return 0
		}
		return n << 10
	}
	return 0
}

// busy returns how long all CPUs together have worked so far, from the first line of
// /proc/stat: everything but idle, waiting for the disk, and stolen.
func busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("this benchmark needs Linux: %w", err)
	}
	return parseBusy(string(text))
}

func parseBusy(text string) (time.Duration, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
		n, err := strconv.ParseInt(fields[i], 10, 48)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat begins with %q", line)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}
