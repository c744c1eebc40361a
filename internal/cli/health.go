package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// healthLimit is how long health waits for an answer. A later answer counts as
// none.
const healthLimit = 5 * time.Second

// healthCommand returns the command "gatehouse health". It asks the control socket, so it needs
// neither a port nor a login.
func (p *cli) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Say whether the running gate is ready", Args: noArguments,
		Long:    "Exit status 0 when the gate that runs with this configuration is ready, else 1: for container health checks.",
		Example: "  gatehouse health --config /etc/gatehouse/config.yaml",
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			gate, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer gate.Close() //nolint:errcheck // it was only asked
			ctx, cancel := context.WithTimeout(cmd.Context(), healthLimit)
			defer cancel()
			if err := gate.Ready(ctx); err != nil {
				return fmt.Errorf("not ready: %w", err)
			}
			_, err = fmt.Fprintln(p.Out, "ready")
			return err
		}),
	}
}
