package cli

import (
	"github.com/spf13/cobra"
)

// reloadCommand returns the command "gatehouse reload". The error is config.Problems if the file
// has mistakes, as from the command check.
func (p *cli) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Make the running gate read its configuration again", Args: noArguments,
		Long: `Make the running gate read its configuration again: all or nothing, without
dropping a request. Every problem is shown, and then the old configuration goes
on. What only a restart can change is named.`,
		Example: "  gatehouse check && gatehouse reload",
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			gate, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer gate.Close() //nolint:errcheck // it was only asked
			return gate.Reload(cmd.Context())
		}),
	}
}
