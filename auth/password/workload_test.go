package password_test

import (
	"testing"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/internal/secret"
)

// The right password is right, whatever else is computed beside it.
func TestWorkloadKnowsTheRightPassword(t *testing.T) {
	h := cheapHasher(64, nil)
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
