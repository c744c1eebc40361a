package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// manCommand returns the command "gatehouse man". It writes the man pages, or docs/commands.md,
// from the commands themselves. It is for packagers and for the test of
// docs/commands.md, so the help does not show it.
func (p *cli) manCommand() *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use: "man DIR", Short: "Write man pages, one for each command", Hidden: true,
		Long: `Write a man page for each command into the folder DIR, which is made, or with
--markdown all of them as one text to standard output.`,
		Example: "  gatehouse man /usr/local/share/man/man1",
		Args: func(cmd *cobra.Command, args []string) error {
			if markdown {
				return noArguments(cmd, args)
			}
			return exactlyOne("the name of a folder")(cmd, args)
		},
		RunE: work(func(cmd *cobra.Command, args []string) error {
			pages := manual(cmd.Root())
			if markdown {
				_, err := fmt.Fprint(p.Out, markdownOf(pages))
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // man pages are for everybody
				return fmt.Errorf("make the folder: %w", err)
			}
			for _, page := range pages {
				file := filepath.Join(args[0], page.name()+".1")
				if err := os.WriteFile(file, []byte(page.roff()), 0o644); err != nil { //nolint:gosec // man pages are for everybody
					return fmt.Errorf("write a man page: %w", err)
				}
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print docs/commands.md instead")
	return cmd
}
