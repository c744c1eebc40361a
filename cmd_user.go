package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/internal/secret"
	"gatehouse/server"
)

// admin gives the running server's Admin, or one that has the files when no
// server runs.
func (p *cli) admin(ctx context.Context) (server.Admin, error) {
	c, err := p.loadConfig()
	if err != nil {
		return nil, err
	}
	client, err := server.Dial(ctx, c)
	if err == nil {
		return client, nil
	}
	if !errors.Is(err, server.ErrNoServer) {
		return nil, err
	}
	log, _, err := server.NewLog(config.LogConfig{Level: "warn", Format: "text"}, p.err)
	if err != nil {
		return nil, err
	}
	return server.OpenFiles(c, loginHTML, log)
}

// withAdmin opens an Admin for f.
func (p *cli) withAdmin(f func(ctx context.Context, a server.Admin, args []string) error) func(*cobra.Command, []string) error {
	return work(func(cmd *cobra.Command, args []string) (err error) {
		a, err := p.admin(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		return f(cmd.Context(), a, args)
	})
}

func (p *cli) userCommand() *cobra.Command {
	user := &cobra.Command{
		Use: "user", Short: "Accounts in the database", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	user.AddCommand(p.userAdd(), p.userPasswd(), p.userList(), p.userShow(),
		p.userSimple("disable NAME", "Disable an account and end its sessions", "disabled", func(ctx context.Context, a server.Admin, name string) error {
			return a.SetDisabled(ctx, name, true)
		}),
		p.userSimple("enable NAME", "Enable an account again", "enabled", func(ctx context.Context, a server.Admin, name string) error {
			return a.SetDisabled(ctx, name, false)
		}),
		p.userSimple("delete NAME", "Delete an account and end its sessions", "deleted", func(ctx context.Context, a server.Admin, name string) error {
			return a.DeleteUser(ctx, name)
		}))
	return user
}

func (p *cli) userAdd() *cobra.Command {
	var u server.NewUser
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add an account", Args: cobra.ExactArgs(1),
		RunE: p.withAdmin(func(ctx context.Context, a server.Admin, args []string) error {
			var err error
			if u.Name, err = auth.NormalizeName(args[0]); err != nil {
				return &usageError{err.Error()}
			}
			if _, err := a.User(ctx, u.Name); err == nil {
				return fmt.Errorf("user %q: %w", u.Name, server.ErrExists) // before the password is typed twice for nothing
			}
			hash, err := p.newHash(ctx, u.Name, fromStdin)
			if err != nil {
				return err
			}
			u.Hash = server.Hash(hash)
			if err := a.AddUser(ctx, u); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "added %s\n", u.Name)
			return err
		}),
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input instead of asking")
	cmd.Flags().StringVar(&u.Email, "email", "", "e-mail address")
	cmd.Flags().StringVar(&u.DisplayName, "display-name", "", "name as people write it")
	cmd.Flags().StringArrayVar(&u.Groups, "group", nil, "a group; may be given several times")
	return cmd
}

func (p *cli) userPasswd() *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "passwd NAME", Short: "Change a password and end the account's sessions", Args: cobra.ExactArgs(1),
		RunE: p.withAdmin(func(ctx context.Context, a server.Admin, args []string) error {
			u, err := a.User(ctx, args[0])
			if err != nil {
				return err
			}
			hash, err := p.newHash(ctx, u.Name, fromStdin)
			if err != nil {
				return err
			}
			if err := a.SetPassword(ctx, server.NewPassword{Name: u.Name, Hash: server.Hash(hash)}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "changed the password of %s\n", u.Name)
			return err
		}),
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input instead of asking")
	return cmd
}

func (p *cli) userSimple(use, short, done string, f func(context.Context, server.Admin, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: p.withAdmin(func(ctx context.Context, a server.Admin, args []string) error {
			if err := f(ctx, a, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.out, "%s %s\n", done, args[0])
			return err
		}),
	}
}

func (p *cli) userList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List accounts, of the database and of the file", Args: cobra.NoArgs,
		RunE: p.withAdmin(func(ctx context.Context, a server.Admin, _ []string) error {
			t := newListing(p.out, asJSON, "NAME", "SOURCE", "STATE", "GROUPS", "EMAIL")
			for u, err := range a.Users(ctx, server.UserQuery{}) {
				if err != nil {
					return err
				}
				if err := t.row(u, u.Name, u.Source, state(u), strings.Join(u.Groups, ","), u.Email); err != nil {
					return err
				}
			}
			return t.end()
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func (p *cli) userShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show an account", Args: cobra.ExactArgs(1),
		RunE: p.withAdmin(func(ctx context.Context, a server.Admin, args []string) error {
			u, err := a.User(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(u)
			}
			return writeFields(p.out,
				"name", u.Name, "display name", u.DisplayName, "email", u.Email, "groups", strings.Join(u.Groups, ", "),
				"state", state(u), "source", u.Source, "created", moment(u.Created), "changed", moment(u.Changed))
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func (p *cli) hashCommand() *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "hash", Short: "Make a password hash for the configuration file", Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			hash, err := p.newHash(cmd.Context(), "", fromStdin)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.out, hash.Reveal())
			return err
		}),
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input instead of asking")
	return cmd
}

// newHash asks for a new password and hashes it.
func (p *cli) newHash(ctx context.Context, name string, fromStdin bool) (secret.Text, error) {
	password, err := p.readNewPassword(fromStdin)
	if err != nil {
		return secret.Text{}, err
	}
	if err := auth.CheckPassword(password, name); err != nil {
		return secret.Text{}, err
	}
	return auth.NewHasher(1).Hash(ctx, password)
}

func state(u server.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "active"
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// writeFields prints names and values, one pair a line; empty values are left
// out.
func writeFields(w io.Writer, pairs ...string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for pair := range slices.Chunk(pairs, 2) {
		if name, value := pair[0], pair[1]; value != "" {
			_, _ = fmt.Fprintf(tw, "%s:\t%s\n", name, printable(value)) // an error shows at Flush
		}
	}
	return tw.Flush()
}
