package account_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/internal/secret"
)

// What the accounts of the database cost is known before the first login, and
// an account whose hash stands out is named.
func TestLearn(t *testing.T) {
	d, _ := openDB(t, filepath.Join(t.TempDir(), "a.db"))
	for name, rank := range map[string]int{"bcrypt": 5, "odd": 13} {
		hash := "$2b$" + map[int]string{5: "05", 13: "13"}[rank] + "$" + strings.Repeat(".", 53)
		if err := d.Add(t.Context(), account.Account{Name: name, PasswordHash: secret.New(hash)}); err != nil {
			t.Fatal(err)
		}
	}
	var pieces int
	h := password.NewHasher(password.Options{
		Params: password.Params{Memory: 4096, Time: 1, Lanes: 1}, Worked: func(float64) { pieces++ },
	})
	log := &bytes.Buffer{}
	account.Learn(t.Context(), h, d, slog.New(slog.NewTextHandler(log, nil)))
	if text := log.String(); !strings.Contains(text, "user=odd") || strings.Contains(text, "user=bcrypt") {
		t.Errorf("the log: %s", text)
	}
	if _, err := h.Check(t.Context(), secret.Text{}, "a password of nobody"); err != nil || pieces != 2 {
		t.Errorf("%d pieces of work for an unknown name, %v; want argon2id and bcrypt", pieces, err)
	}
}

func TestLearnGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, _ := openDB(t, filepath.Join(t.TempDir(), "a.db"))
	account.Learn(ctx, cheap, d, slog.New(slog.DiscardHandler))
}
