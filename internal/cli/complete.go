package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/server/admin"
)

// Limits of completing names and IDs. Completion asks the running server and
// nothing else. After completePatience it offers nothing, rather than let
// somebody wait who has pressed Tab; it offers completeMost at most.
const (
	completePatience = 500 * time.Millisecond
	completeMost     = 100
)

// completionCommand returns the command "gatehouse completion". It replaces cobra's, which has a
// subcommand for each shell.
func (p *cli) completionCommand() *cobra.Command {
	const shells = "bash, zsh, fish or powershell"
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print a script that completes commands in your shell", Args: exactlyOne("the name of a shell (" + shells + ")"),
		Long: `Print a script that makes your shell complete commands and flags, and the names
of accounts and IDs of sessions while the gate runs. The shell is ` + shells + `.

  bash        source <(gatehouse completion bash)
              or for all: gatehouse completion bash > /etc/bash_completion.d/gatehouse
  zsh         gatehouse completion zsh > "${fpath[1]}/_gatehouse"
  fish        gatehouse completion fish > ~/.config/fish/completions/gatehouse.fish
  powershell  gatehouse completion powershell | Out-String | Invoke-Expression`,
		Example:   "  gatehouse completion bash",
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: work(func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(p.Out, true)
			case "zsh":
				return root.GenZshCompletion(p.Out)
			case "fish":
				return root.GenFishCompletion(p.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(p.Out)
			default:
				return usage("there is no completion for %q; write %s", args[0], shells)
			}
		}),
	}
}

// completeFlag sets how values of a flag are completed. It panics if there is no
// such flag, which is a mistake in this program.
func (p *cli) completeFlag(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag is not there: a mistake in this program
	}
}

// onlyFirst completes the first argument with f, and offers nothing for the
// others.
func onlyFirst(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, begun)
	}
}

// userNames completes names of accounts, with their state and display name as
// description.
func (p *cli) userNames(cmd *cobra.Command, _ []string, begun string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	p.whileRunning(cmd.Context(), func(ctx context.Context, a *admin.Admin) {
		for u, err := range a.Users(ctx, admin.UserQuery{Prefix: begun, Limit: completeMost}) {
			if err != nil {
				return
			}
			names = append(names, cobra.CompletionWithDesc(printable(u.Name), strings.TrimSpace(state(u)+" "+printable(u.DisplayName))))
		}
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// sessionIDs completes IDs of sessions, with their user and last use as
// description.
func (p *cli) sessionIDs(cmd *cobra.Command, _ []string, begun string) (ids []cobra.Completion, _ cobra.ShellCompDirective) {
	p.whileRunning(cmd.Context(), func(ctx context.Context, a *admin.Admin) {
		for s, err := range a.Sessions(ctx, admin.SessionQuery{Prefix: begun, Limit: completeMost}) {
			if err != nil {
				return
			}
			ids = append(ids, cobra.CompletionWithDesc(s.ID, printable(s.User)+", "+humanDuration(time.Since(s.Seen))+" ago"))
		}
	})
	return ids, cobra.ShellCompDirectiveNoFileComp
}
