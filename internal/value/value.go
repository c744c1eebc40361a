// Package value reads the values that people write in a configuration with
// their unit: durations (30s, 12h, 14d), sizes (10MiB) and rates (10/15m).
package value

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Duration is a time.Duration that also knows days: 90s, 1h30m, 14d. Zero
// needs no unit. It is never negative.
type Duration time.Duration

// D gives the time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

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

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration; the error says what to write.
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

// A Size is a number of bytes: 512, 8KiB, 10MiB, 1GiB; kB, MB and GB count by
// thousands.
type Size int64

var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

func (s Size) String() string {
	for i := 3; i >= 0; i-- {
		if u := units[i]; s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a size; the error says what to write.
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

// A Rate is a number of events in a time: 10/15m. The zero Rate is written 0
// and means: no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

func (r Rate) String() string {
	if r.Count == 0 {
		return "0"
	}
	return strconv.Itoa(r.Count) + "/" + Duration(r.Per).String()
}

// MarshalText writes what UnmarshalText reads.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a rate; the error says what to write.
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
