package cli

import (
	"fmt"
	"strconv"
	"time"
)

// formatNumber returns a number with commas between thousands: 20,000.
func formatNumber(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural returns a number of things: 1 session, 20,000 sessions.
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return formatNumber(int64(n)) + " " + more
}

// sessionsInWords returns a number of sessions.
func sessionsInWords(n int) string { return plural(n, "session", "sessions") }

// formatBytes returns a size in bytes with one decimal of the largest binary unit
// that fits: 900 bytes, 1.5 KiB.
func formatBytes(n int64) string {
	size, unit := float64(n), "bytes"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if size < 1024 {
			break
		}
		size, unit = size/1024, u
	}
	if unit == "bytes" {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}

// humanDuration returns a duration in whole units, rounded down. The unit is the
// largest one of which there are at least two, so that the error is small: 90m,
// 47h, 2d. One minute is 1m.
func humanDuration(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= 2*u.of || d >= u.of && u.of == time.Minute {
			return formatNumber(int64(d/u.of)) + u.name
		}
	}
	return formatNumber(int64(d/time.Second)) + "s"
}

// formatTime returns a time in the local time zone, to the second; "" for the
// zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
