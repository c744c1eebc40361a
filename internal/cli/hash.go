package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/auth/password"
	"gatehouse/internal/secret"
)

// hashCommand returns the command "gatehouse hash". It works without a configuration, but obeys
// the least length of one that is there.
func (p *cli) hashCommand() *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "hash", Short: "Make a password hash for the configuration file",
		Long: `Make the hash of a password, for users: in the configuration file. The password
is asked for twice on a terminal, or read from one line of standard input.`,
		Example: `  gatehouse hash
  gatehouse hash --password-stdin < password.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("a password is never an argument, which everybody on the machine can see; gatehouse hash asks for it, or reads it with --password-stdin")
			}
			return nil
		},
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			if c, err := p.loadConfig(); err == nil { // there need not be one yet
				p.passwordMin = c.Login.PasswordMin
			}
			hash, err := p.newHash(cmd.Context(), "", fromStdin)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.Out, hash.Reveal())
			return err
		}),
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, passwordStdin)
	return cmd
}

// passwordStdin is the help of the flag --password-stdin.
const passwordStdin = "read the password from one line of standard input instead of asking"

// newHash asks for a new password for the account, checks it, and returns its
// hash. name is "" if the account is not known.
func (p *cli) newHash(ctx context.Context, name string, fromStdin bool) (secret.Text, error) {
	chosen, err := p.readNewPassword(ctx, name, fromStdin)
	if err != nil {
		return secret.Text{}, err
	}
	return password.NewHasher(password.Options{}).Hash(ctx, chosen)
}
