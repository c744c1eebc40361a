package value_test

import (
	"testing"
	"time"

	"gatehouse/internal/value"
)

func TestDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0": 0, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "14d": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0,
	} {
		var d value.Duration
		if err := d.UnmarshalText([]byte(in)); err != nil || d.D() != want {
			t.Errorf("%q: %v, %v; want %v", in, d.D(), err, want)
		}
	}
	for in, want := range map[string]string{
		"-1h":  `"-1h" is negative; write a duration of zero or more`,
		"30":   `"30" has no unit; write 30s, 30m, 30h or 30d`,
		"08":   `"08" has no unit; write 08s, 08m, 08h or 08d`,
		"yes":  `"yes" is not a duration; write 30s, 15m, 12h or 14d`,
		"":     `"" is not a duration; write 30s, 15m, 12h or 14d`,
		"xd":   `"xd" is not a duration; write 30s, 15m, 12h or 14d`,
		"-0s":  `"-0s" is negative; write a duration of zero or more`,
		"1d-1": `"1d-1" is not a duration; write 30s, 15m, 12h or 14d`,
	} {
		var d value.Duration
		if err := d.UnmarshalText([]byte(in)); err == nil || err.Error() != want {
			t.Errorf("%q: %v; want %s", in, err, want)
		}
	}
}

func TestEveryDurationIsReadAsItIsWritten(t *testing.T) {
	for _, d := range []time.Duration{0, time.Second, time.Minute, 90 * time.Second, time.Hour, 90 * time.Minute, 24 * time.Hour, 36 * time.Hour, 1500 * time.Millisecond} {
		text := value.Duration(d).String()
		var back value.Duration
		if err := back.UnmarshalText([]byte(text)); err != nil || back.D() != d {
			t.Errorf("%v is written %q and read as %v, %v", d, text, back.D(), err)
		}
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "512": 512, "8KiB": 8192, "10MiB": 10 << 20, "1GB": 1e9, "3 B": 3} {
		var s value.Size
		if err := s.UnmarshalText([]byte(in)); err != nil || int64(s) != want {
			t.Errorf("%q: %d, %v; want %d", in, s, err, want)
		}
	}
	for _, in := range []string{"", "-1", "1.5MiB", "ten", "99999999TiB", "9223372036854775808"} {
		var s value.Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is read as %d", in, s)
		}
	}
}

func TestRate(t *testing.T) {
	for in, want := range map[string]value.Rate{"0": {}, "10/15m": {10, 15 * time.Minute}, "5/h": {5, time.Hour}, "100/1d": {100, 24 * time.Hour}} {
		var r value.Rate
		if err := r.UnmarshalText([]byte(in)); err != nil || r != want {
			t.Errorf("%q: %v, %v; want %v", in, r, err, want)
		}
	}
	for _, in := range []string{"", "10", "10/", "/15m", "-1/m", "10/0s", "0/15m", "10/15", "1e9/s"} {
		var r value.Rate
		if err := r.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is read as %v", in, r)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{"0", "14d", "1d12h", "10MiB", "10/15m", "-1", "d", "1/d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d value.Duration
		if err := d.UnmarshalText([]byte(s)); err == nil && d < 0 {
			t.Errorf("%q is read as %v", s, d)
		}
		var z value.Size
		if err := z.UnmarshalText([]byte(s)); err == nil && z < 0 {
			t.Errorf("%q is read as %v", s, z)
		}
		var r value.Rate
		if err := r.UnmarshalText([]byte(s)); err == nil && (r.Count < 0 || r.Count > 0 && r.Per <= 0) {
			t.Errorf("%q is read as %v", s, r)
		}
	})
}
