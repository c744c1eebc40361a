// Package value parses the values that people write with a unit in a configuration:
// durations (30s, 12h, 14d), sizes (10MiB) and rates (10/15m). Every error shows the
// value and says what to write.
package value

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Duration is a time.Duration that is never negative. It is written as Go does, and in
// days of 24 hours as well: 90s, 1h30m, 14d, 1d12h. Zero needs no unit.
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String returns d as it is written in a configuration, in days where it is a multiple
// of them.
func (d Duration) String() string {
	const day = 24 * time.Hour
	t := time.Duration(d)
	if t >= day && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	if t == 0 {
		return "0"
	}
	s := t.String() // 1h0m0s
	if short, ok := strings.CutSuffix(s, "m0s"); ok {
		s = short + "m"
	}
	if short, ok := strings.CutSuffix(s, "h0m"); ok {
		s = short + "h"
	}
	return s
}

// MarshalText returns what UnmarshalText parses.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses a duration, with at most 65535 days in it.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	rest, days := s, time.Duration(0)
	if number, tail, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a duration; write 30s, 15m, 12h or 14d", s)
		}
		days, rest = time.Duration(n)*24*time.Hour, tail
	}
	var t time.Duration
	if rest != "" || rest == s {
		var err error
		if t, err = time.ParseDuration(rest); err != nil {
			if _, nerr := strconv.Atoi(s); nerr == nil {
				return fmt.Errorf("%q has no unit; write %ss, %sm, %sh or %sd", s, s, s, s, s)
			}
			return fmt.Errorf("%q is not a duration; write 30s, 15m, 12h or 14d", s)
		}
	}
	if t < 0 || strings.HasPrefix(s, "-") {
		return fmt.Errorf("%q is negative; write a duration of zero or more", s)
	}
	if days > math.MaxInt64-t {
		return fmt.Errorf("%q is too long", s)
	}
	*d = Duration(days + t)
	return nil
}

// A Size is a number of bytes, which is never negative: 512, 8KiB, 10MiB, 1GiB, 1TiB. kB,
// MB, GB and TB are powers of 1000.
type Size int64

// units are the units of a Size; those that end in another stand before it.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// String returns s in the largest power of 1024 that divides it.
func (s Size) String() string {
	for i := 3; i >= 0; i-- {
		if u := units[i]; s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText returns what UnmarshalText parses.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText parses a size, of less than 8 EiB.
func (s *Size) UnmarshalText(b []byte) error {
	text := string(b)
	number, factor := text, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			number, factor = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a size; write a number of bytes, or 8KiB, 10MiB, 1GiB", text)
	case n < 0:
		return fmt.Errorf("%q is negative; write a size of zero or more", text)
	case n > math.MaxInt64/factor:
		return fmt.Errorf("%q is too large", text)
	}
	*s = Size(n * factor)
	return nil
}

// A Rate is Count events in the time Per, written 10/15m, or 10/m for a single minute. The
// zero Rate is no limit, and is written 0.
type Rate struct {
	Count int
	Per   time.Duration
}

// String returns r as it is written in a configuration.
func (r Rate) String() string {
	if r.Count == 0 {
		return "0"
	}
	return strconv.Itoa(r.Count) + "/" + Duration(r.Per).String()
}

// MarshalText returns what UnmarshalText parses.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText parses a rate, of at most a million events.
func (r *Rate) UnmarshalText(b []byte) error {
	s := string(b)
	if s == "0" {
		*r = Rate{}
		return nil
	}
	count, per, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n <= 0 || n > 1e6 {
		return fmt.Errorf("%q is not a rate; write 10/15m for ten in a quarter of an hour, or 0 for no limit", s)
	}
	if strings.Trim(per, "smhd") == "" {
		per = "1" + per // 10/m
	}
	var d Duration
	if err := d.UnmarshalText([]byte(per)); err != nil || d == 0 {
		return fmt.Errorf("%q is not a rate; write 10/15m for ten in a quarter of an hour, or 0 for no limit", s)
	}
	*r = Rate{Count: n, Per: d.D()}
	return nil
}
