package server

import (
	"testing"
)

// The collector counts the ballast, which must not eat up a limit that somebody
// has set.
func TestNoBallastUnderALimit(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	t.Setenv("GOGC", "")
	if len(ballast()) != gcBallast {
		t.Error("there is no ballast without a limit")
	}
	for name, value := range map[string]string{"GOMEMLIMIT": "40MiB", "GOGC": "50"} {
		t.Setenv(name, value)
		if ballast() != nil {
			t.Errorf("there is ballast with %s=%s", name, value)
		}
		t.Setenv(name, "")
	}
}
