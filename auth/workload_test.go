package auth_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/auth"
	"gatehouse/internal/secret"
)

// What the accounts of the database cost is known before the first login, and
// an account whose hash stands out is named.
func TestLearn(t *testing.T) {
	d, _ := openDB(t, filepath.Join(t.TempDir(), "a.db"))
	for name, rank := range map[string]int{"bcrypt": 5, "odd": 13} {
		hash := "$2b$" + map[int]string{5: "05", 13: "13"}[rank] + "$" + strings.Repeat(".", 53)
		if err := d.Add(t.Context(), auth.Account{Name: name, PasswordHash: secret.New(hash)}); err != nil {
			t.Fatal(err)
		}
	}
	h := auth.HasherOf(4096)
	log := &safeBuffer{}
	auth.Learn(t.Context(), h, d, slog.New(slog.NewTextHandler(log, nil)))
	if text := log.String(); !strings.Contains(text, "user=odd") || strings.Contains(text, "user=bcrypt") {
		t.Errorf("the log: %s", text)
	}
	var pieces int
	h.Worked(func(float64) { pieces++ })
	if _, err := h.Check(t.Context(), secret.Text{}, "a password of nobody"); err != nil || pieces != 2 {
		t.Errorf("%d pieces of work for an unknown name, %v; want argon2id and bcrypt", pieces, err)
	}
}

func TestLearnGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, _ := openDB(t, filepath.Join(t.TempDir(), "a.db"))
	auth.Learn(ctx, auth.CheapHasher(1), d, slog.New(slog.DiscardHandler))
}

// The right password is right, whatever else is computed beside it.
func TestWorkloadKnowsTheRightPassword(t *testing.T) {
	h := auth.HasherOf(64)
	own, err := h.Hash(t.Context(), "the right password")
	if err != nil {
		t.Fatal(err)
	}
	hashes := []string{own.Reveal()}
	for _, rank := range []int{4, 5, 6} {
		b, err := bcrypt.GenerateFromPassword([]byte("the right password"), rank)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, string(b))
	}
	for range 2 {
		for _, hash := range hashes {
			for password, want := range map[string]bool{"the right password": true, "a wrong password": false} {
				if ok, err := h.Check(t.Context(), secret.New(hash), password); ok != want || err != nil {
					t.Errorf("%.10s, %s: %t, %v", hash, password, ok, err)
				}
			}
		}
	}
}
