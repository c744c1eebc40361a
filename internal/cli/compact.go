package cli

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"gatehouse/server/admin"
)

// compactCommand returns the command "gatehouse compact". The progress is the size of the new file
// while it grows.
func (p *cli) compactCommand() *cobra.Command {
	return &cobra.Command{
		Use: "compact", Short: "Make the database smaller, while the gate does not run", Args: noArguments, SuggestFor: []string{"vacuum", "shrink"},
		Long: `Write gatehouse.db anew, without the space that nothing uses any more, and say how
large it was and is. The file does not shrink by itself when sessions end: it
uses the space again.

The gate must not run. The new file takes the place of the old one in one step
once it is whole and checked; whatever happens before that, the old one is as it
was. For as long as it works there must be space for both.`,
		Example: "  systemctl stop gatehouse && gatehouse compact && systemctl start gatehouse",
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			c, err := p.loadConfig()
			if err != nil {
				return err
			}
			var temp atomic.Pointer[string]
			stop := p.progress(cmd.Context(), "compacting", func(context.Context) string {
				name := temp.Load()
				if name == nil {
					return ""
				}
				info, err := os.Stat(*name)
				if err != nil {
					return ""
				}
				return formatBytes(info.Size()) + " written"
			})
			before, after, err := admin.Compact(cmd.Context(), c, func(name string) { temp.Store(&name) })
			stop()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.Out, "gatehouse.db had %s and has %s\n", formatBytes(before), formatBytes(after))
			return err
		}),
	}
}
