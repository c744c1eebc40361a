package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/internal/value"
)

// The first start after the upgrade decides until when sessions of the version
// before count. Nothing moves that later, and nothing that cannot be read does.
func TestFormerSessionsHaveOneDate(t *testing.T) {
	c := &config.Config{DataDir: t.TempDir()}
	c.Session.MaxAge, c.Session.IdleTimeout = value.Duration(12*time.Hour), value.Duration(time.Hour)
	log := slog.New(slog.DiscardHandler)
	until := func(fresh bool) time.Time {
		t.Helper()
		at, err := formerUntil(c, fresh, log)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	first := until(false)
	if left := time.Until(first); left < 12*time.Hour-time.Minute || left > 12*time.Hour+time.Minute {
		t.Errorf("they count for %s, want one max_age", left)
	}
	c.Session.MaxAge = value.Duration(100 * 24 * time.Hour)
	if again := until(false); !again.Equal(first) {
		t.Errorf("the next start moves %s to %s", first, again)
	}
	path := filepath.Join(c.DataDir, formerFile)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if at := until(false); !at.IsZero() {
		t.Errorf("an empty file says %s", at)
	}

	c.DataDir = t.TempDir()
	if at := until(true); at.After(time.Now()) {
		t.Errorf("where nothing can be from before, they count until %s", at)
	}
	if at := until(false); at.After(time.Now()) {
		t.Errorf("the second start says %s", at)
	}
	c.DataDir = t.TempDir()
	c.Session.MaxAge = 0
	if left := time.Until(until(false)); left > time.Hour+time.Minute || left < 59*time.Minute {
		t.Errorf("without max_age they count for %s, want idle_timeout", left)
	}
}
