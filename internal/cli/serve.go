package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/server"
)

// findConfig returns the path of the configuration: the flag, else the
// environment variable GATEHOUSE_CONFIG, else the first of the usual places where
// there is a file. A file there that cannot be examined is returned as well, so
// that reading it reports why.
func (p *cli) findConfig() (string, error) {
	if p.configFile != "" {
		return p.configFile, nil
	}
	if file := os.Getenv("GATEHOUSE_CONFIG"); file != "" {
		return file, nil
	}
	places := []string{"gatehouse.yaml", "/etc/gatehouse/config.yaml"}
	for _, file := range places {
		if _, err := os.Stat(file); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return file, nil
		}
	}
	return "", fmt.Errorf("there is no configuration: neither %s nor %s is there; name one with --config FILE, or try: gatehouse demo", places[0], places[1])
}

// loadConfig finds, reads and checks the configuration. The error is
// config.Problems if the file has mistakes.
func (p *cli) loadConfig() (*config.Config, error) {
	file, err := p.findConfig()
	if err != nil {
		return nil, err
	}
	return config.Load(file)
}

// serveCommand returns the command "gatehouse serve". A reload reads the file that was found at
// the start.
func (p *cli) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the gate", Args: noArguments, SuggestFor: []string{"run", "start", "up"},
		Long: `Run the gate until SIGTERM or SIGINT. SIGHUP reads the configuration again:
all or nothing, without dropping a request.

On a terminal it says where it listens, what lies behind it and what is
dangerous; elsewhere the log does, as JSON.`,
		Example: "  gatehouse serve --config /etc/gatehouse/config.yaml",
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			file, err := p.findConfig()
			if err != nil {
				return err
			}
			load := func() (*config.Config, error) { return config.Load(file) }
			c, err := load()
			if err != nil {
				return err
			}
			o := server.Options{Config: c, Load: load}
			// On a terminal a person is told where the gate listens, and the log
			// leaves that out.
			if screenOf(p.Err).isTerminal() && c.Log.Format != "json" {
				o.Ready, o.Told = p.tellServe, true
			}
			return p.serve(cmd.Context(), o)
		}),
	}
}

// serve runs the server until ctx is done, and reloads it on SIGHUP. It adds the
// log and the build to o.
func (p *cli) serve(ctx context.Context, o server.Options) error {
	// A write to the log fails once its reader has ended; SIGPIPE would end the
	// gate as well.
	signal.Ignore(syscall.SIGPIPE)
	log, err := server.NewLog(o.Config.Log, p.Err)
	if err != nil {
		return err
	}
	defer log.Close()
	o.Log, o.Level, o.Dropped, o.LoginHTML, o.Version = log.Logger, log.Level(), log.Dropped, p.LoginHTML, p.version()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	o.ReloadOn = hup
	return server.Run(ctx, o)
}

// shownRoutes is how many routes serve shows on a terminal.
const shownRoutes = 12

// tellServe tells a person where the gate listens, what it protects and what is
// dangerous.
func (p *cli) tellServe(f server.StartupInfo) {
	s := screenOf(p.Err)
	line := func(what, text string) { p.tell("  %-10s %s\n", what, text) }
	p.tell("\n")
	for i, url := range f.URLs {
		line([]string{"Open", ""}[min(i, 1)], s.paint(bold, url))
	}
	what := "Protects"
	for i, r := range f.Routes {
		if i == shownRoutes {
			line("", fmt.Sprintf("and %s more", plural(len(f.Routes)-i, "route", "routes")))
			break
		}
		line(what, printable(r.Match+"  ->  "+strings.Join(r.Upstreams, ", ")))
		what = ""
	}
	line("Accounts", accountsInWords(&f))
	line("Sessions", f.Store+", what is kept lies in "+f.DataDir)
	for _, d := range f.Dangers {
		p.tell("  %s    %s\n", s.paint(yellow, "Careful"), printable(d))
	}
	line("End", "Ctrl-C")
	p.tell("\n")
}

// accountsInWords returns how many accounts there are, and what to do if there is
// none.
func accountsInWords(f *server.StartupInfo) string {
	inFile := formatNumber(int64(f.Users)) + " in the configuration"
	switch {
	case f.Accounts < 0:
		return inFile + "; those of the database cannot be read now"
	case f.Users+f.Accounts == 0:
		return "none yet, so that nobody can sign in: gatehouse user add alice"
	case f.More:
		return inFile + ", more than " + formatNumber(int64(f.Accounts)) + " in the database"
	default:
		return inFile + ", " + formatNumber(int64(f.Accounts)) + " in the database"
	}
}

// checkCommand returns the command "gatehouse check". Beyond config.Load it builds all that serve
// would build, since some problems show only then.
func (p *cli) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Check the configuration: every problem at once", Args: noArguments, SuggestFor: []string{"validate", "test", "lint", "verify"},
		Long: `Check the configuration as serve would, without starting anything: every
problem with its file, line and key, and what to do about it. Exit status 0
when it can be served (warnings are shown), 78 when it cannot.`,
		Example: "  gatehouse check --config gatehouse.yaml",
		RunE: work(func(*cobra.Command, []string) error {
			c, err := p.loadConfig()
			if err != nil {
				return err
			}
			if err := server.Check(c, p.LoginHTML); err != nil {
				return err
			}
			for _, w := range c.Warnings {
				p.tell("warning: %v\n", w)
			}
			_, err = fmt.Fprintf(p.Out, "%s: ok, %s, %s in it\n", c.File, plural(len(c.Routes), "route", "routes"), plural(len(c.Users), "account", "accounts"))
			return err
		}),
	}
}
