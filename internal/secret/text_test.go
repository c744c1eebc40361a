package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gatehouse/internal/secret"
)

func TestNothingPrintsASecret(t *testing.T) {
	type holder struct {
		Open   secret.Text
		closed secret.Text
		ptr    *secret.Text
	}
	s := secret.New("hunter2")
	h := holder{Open: s, closed: s, ptr: &s}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "h", h, "s", s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "h", h, "s", s)
	js, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		fmt.Sprint(h), fmt.Sprintf("%+v", h), fmt.Sprintf("%#v", h), fmt.Sprintf("%v %s %q %x", s, s, s, s),
		fmt.Sprint(&h), string(js), log.String(),
	} {
		if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e74657232") {
			t.Errorf("the secret shows in %q", out)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Errorf("Reveal: %q", s.Reveal())
	}
}
