package account

import (
	"context"
	"log/slog"
	"time"

	"gatehouse/auth/password"
)

// learnAgain is how long Learn waits before it retries.
const learnAgain = 10 * time.Second

// Learn tells h the hashes of all accounts of d, so that from the first login on
// all checks take the same time; see password.Hasher.Expect. An account whose
// hash is too expensive for that is logged as a warning. While the database does
// not answer, it retries every 10 seconds until ctx is done. It blocks.
func Learn(ctx context.Context, h *password.Hasher, d *Database, log *slog.Logger) {
	for {
		err := learn(ctx, h, d, log)
		if err == nil || ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(learnAgain):
		}
	}
}

// learn goes through the accounts once. Records that cannot be decoded are
// skipped: nobody can sign in to them.
func learn(ctx context.Context, h *password.Hasher, d *Database, log *slog.Logger) error {
	for a, err := range d.List(ctx) {
		if err != nil && a.Name == "" {
			return err
		}
		if err == nil && !h.Expect(a.PasswordHash) {
			log.LogAttrs(ctx, slog.LevelWarn, "the password hash of an account is so dear, or of such a kind, that its logins take longer than others; "+
				"set its password anew", slog.String("user", a.Name))
		}
	}
	return nil
}
