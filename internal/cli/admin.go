package cli

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"gatehouse/server"
	"gatehouse/server/admin"
)

// connect returns the Admin of the server that runs with this configuration. The
// error is admin.ErrNoServer if none runs. The caller closes the Admin.
func (p *cli) connect(ctx context.Context) (*admin.Admin, error) {
	c, err := p.loadConfig()
	if err != nil {
		return nil, err
	}
	return admin.Dial(ctx, c)
}

// admin returns the Admin of the running server, or one that works on the files
// if no server runs. The caller closes it. It also remembers of the configuration
// the least length of passwords, and whether sessions span several hosts.
func (p *cli) admin(ctx context.Context) (*admin.Admin, error) {
	c, err := p.loadConfig()
	if err != nil {
		return nil, err
	}
	p.passwordMin, p.severalHosts = c.Login.PasswordMin, c.Login.Host != ""
	client, err := admin.Dial(ctx, c)
	if err == nil {
		return client, nil
	}
	if !errors.Is(err, admin.ErrNoServer) {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(p.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return server.OpenFiles(c, p.LoginHTML, log)
}

// withAdmin returns a RunE for a command that needs an Admin: it opens one, calls
// f with it and closes it. The errors are marked as by work.
func (p *cli) withAdmin(f func(ctx context.Context, a *admin.Admin, args []string) error) func(*cobra.Command, []string) error {
	return work(func(cmd *cobra.Command, args []string) (err error) {
		a, err := p.admin(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		return f(cmd.Context(), a, args)
	})
}

// whileRunning calls f with the Admin of the running server. If none runs, or if
// something fails, it does nothing: nobody wants an error message in the middle
// of a line that they type. f has completePatience in all. ctx may be nil, as
// cobra passes it to completions.
func (p *cli) whileRunning(ctx context.Context, f func(context.Context, *admin.Admin)) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completePatience)
	defer cancel()
	gate, err := p.connect(ctx)
	if err != nil {
		return
	}
	defer gate.Close() //nolint:errcheck // it was only asked
	f(ctx, gate)
}
