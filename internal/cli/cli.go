// Package cli is the command line: it reads the arguments and the configuration
// file, calls the packages that do the work, and reports the result to people.
// Data go to standard output, messages to standard error.
package cli

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes besides 0, which scripts and service managers rely on.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitInvalid = 78 // EX_CONFIG of sysexits.h: starting again is of no use until the configuration is corrected
)

// Streams are the standard streams of a command: data are written to Out,
// everything else to Err. All three are required.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// tell writes a message for people to Err. It ignores errors: there is nobody
// left to tell.
func (s Streams) tell(format string, args ...any) { _, _ = fmt.Fprintf(s.Err, format, args...) }

// Build is what is put into the program when it is built.
type Build struct {
	LoginHTML string // the template of the sign-in page; required
	Release   string // the number of the release; "" in a build from the source tree
}

// Run is the whole program. It runs the command that args name (args do not
// contain the name of the program) until the command has ended or ctx is done,
// and returns the exit code:
//
//	0   success
//	1   the command failed
//	2   the arguments are wrong
//	78  the configuration is invalid; a service manager should not restart the program
//
// Errors have been written to io.Err when it returns. serve and demo ignore
// SIGPIPE from then on, for the whole process.
func Run(ctx context.Context, args []string, io Streams, b Build) int {
	p := &cli{Streams: io, Build: b}
	root := p.rootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	return p.explain(cmd, err)
}

// A cli is what all commands of one run share.
type cli struct {
	Streams
	Build

	configFile string // the value of --config; "" if not given: see findConfig
	// passwordMin is login.password_min of the configuration that was read; 0 if
	// none was read, which means the default.
	passwordMin int

	// severalHosts reports that the configuration that was read has login.host.
	severalHosts bool
}

// The groups of commands in the help.
const (
	groupGate   = "gate"
	groupPeople = "people"
	groupData   = "data"
	groupHelp   = "help"
)

// rootCommand returns the tree of all commands. cobra's own messages are off:
// explain writes errors.
func (p *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "A login in front of any web application",
		Long: `Gatehouse stands in front of a web application, asks people to sign in, and
forwards only what an authenticated person may send, with a header that says
who it is. The application is not changed.`,
		Example:           "  gatehouse demo",
		SilenceErrors:     true,
		SilenceUsage:      true,
		Version:           p.version(),
		Args:              knownSubcommand,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              work(func(*cobra.Command, []string) error { return p.welcome() }),
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetVersionTemplate("gatehouse {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(
		&cobra.Group{ID: groupGate, Title: "The gate:"},
		&cobra.Group{ID: groupPeople, Title: "Accounts and sessions:"},
		&cobra.Group{ID: groupData, Title: "What is kept:"},
		&cobra.Group{ID: groupHelp, Title: "Help:"},
	)
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.PersistentFlags().StringVar(&p.configFile, "config", "",
		"the configuration `FILE` (default: $GATEHOUSE_CONFIG, ./gatehouse.yaml, /etc/gatehouse/config.yaml)")
	root.PersistentFlags().BoolP("help", "h", false, "show this help")
	root.Flags().Bool("version", false, "print the version")
	root.AddCommand(inGroup(groupGate, p.demoCommand(), p.serveCommand(), p.checkCommand(), p.reloadCommand(), p.healthCommand(), p.explainCommand())...)
	root.AddCommand(inGroup(groupPeople, p.userCommand(), p.sessionCommand(), p.hashCommand())...)
	root.AddCommand(inGroup(groupData, p.backupCommand(), p.compactCommand())...)
	root.AddCommand(inGroup(groupHelp, p.versionCommand(), p.completionCommand(), p.manCommand())...)
	root.SetHelpCommand(p.helpCommand(root))
	root.SetHelpCommandGroupID(groupHelp) // works only after SetHelpCommand
	return root
}

// usageTemplate returns cobra's template with shorter headings. A heading that
// cobra changes stays as it is.
func usageTemplate(s string) string {
	return strings.NewReplacer(
		"\n  {{.CommandPath}} [command]{{end}}", "\n  {{.CommandPath}} COMMAND [flags]{{end}}",
		"Available Commands:", "Commands:",
		"Global Flags:", "Flags of all commands:",
		`Use "{{.CommandPath}} [command] --help" for more information about a command.`, "More on one:  {{.CommandPath}} COMMAND --help",
	).Replace(s)
}

// inGroup puts the commands into a group of the help and returns them.
func inGroup(group string, list ...*cobra.Command) []*cobra.Command {
	for _, c := range list {
		c.GroupID = group
	}
	return list
}

// helpCommand returns the command "gatehouse help". It replaces cobra's, which succeeds for a
// command that does not exist.
func (p *cli) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Explain a command",
		Long:    "Explain a command, as its flag --help does.",
		Example: "  gatehouse help user add",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil && len(rest) > 0 {
				err = knownSubcommand(cmd, rest)
			}
			if err != nil {
				return err
			}
			return cmd.Help()
		},
	}
}

// versionCommand returns the command "gatehouse version".
func (p *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArguments,
		Long:    "Print the version: of a release its number, of a build from a source tree its revision.",
		Example: "  gatehouse version",
		RunE: work(func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.Out, "gatehouse", p.version())
			return err
		}),
	}
}

// version returns the number of the release. For a build from the source tree, it
// returns devel-REVISION, with +changes if files were changed; devel if the
// revision is not known.
func (b Build) version() string {
	if b.Release != "" {
		return b.Release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	if revision == "" {
		return "devel"
	}
	return "devel-" + revision[:min(12, len(revision))] + dirty
}
