package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"gatehouse/internal/audit"
)

func TestEventsAreMarkedAndEscaped(t *testing.T) {
	var b bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it has happened all the same
	audit.New(slog.New(slog.NewJSONHandler(&b, nil))).
		Event(ctx, audit.LoginFailure, slog.String("user", "eve\n{\"msg\":\"login.success\"}\x1b[31m"))
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	var fields map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &fields); err != nil || len(lines) != 1 || strings.Contains(b.String(), "\x1b") {
		t.Fatalf("%v: %q", err, b.String())
	}
	if fields["msg"] != "login.failure" || fields["log"] != "audit" {
		t.Errorf("%v", fields)
	}
	var none *audit.Log
	none.Event(ctx, audit.Logout)
}
