package account

import (
	"context"
	"log/slog"
	"time"

	"gatehouse/auth/password"
)

// learnAgain is how long Learn waits after accounts could not be listed.
const learnAgain = 10 * time.Second

// Learn makes the kinds of hashes of all accounts of d known to h, so that
// the first logins take as long as all others. It waits for a database that
// does not answer, until ctx is done.
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
