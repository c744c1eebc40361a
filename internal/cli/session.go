package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/value"
	"gatehouse/server/admin"
)

// sessionCommand returns the command "gatehouse session" with its subcommands.
func (p *cli) sessionCommand() *cobra.Command {
	session := &cobra.Command{
		Use: "session", Short: "Sessions: who is signed in", Args: knownSubcommand,
		Long: `Sessions: who is signed in, from where, and since when.

A session's ID names it and opens nothing; the secret in the visitor's cookie
is kept nowhere.`,
		Example: "  gatehouse session list",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	session.AddCommand(p.sessionList(), p.sessionShow(), p.sessionRevoke(), p.sessionPurge())
	return session
}

// sessionList returns the command "gatehouse session list". --address is the short form of a
// network of one address.
func (p *cli) sessionList() *cobra.Command {
	var q admin.SessionQuery
	var address netip.Addr
	var idle, older value.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List sessions", Args: noArguments, SuggestFor: []string{"ls", "all"},
		Long: `List the sessions that live, by ID. With several flags, a session is listed that
fits them all. A million sessions are listed as they are read, in constant
memory; --limit and --after give them page by page.`,
		Example: `  gatehouse session list --user alice
  gatehouse session list --network 10.0.0.0/8 --idle-for 1h
  gatehouse session list --limit 100 --after 3f9a5c0d1e2b4a67
  gatehouse session list --json`,
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, _ []string) error {
			if address.IsValid() {
				if q.Network.IsValid() {
					return usage("--address and --network say the same in two ways; write one of them")
				}
				q.Network = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
			}
			// 10.1.2.3/8 means the network 10.0.0.0/8.
			q.Network = q.Network.Masked()
			q.IdleFor, q.OlderThan = idle.D(), older.D()
			return p.listSessions(ctx, a, q, asJSON)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&q.User, "user", "", "only those of the account `NAME`")
	f.StringVar(&q.Source, "source", "", "only those of accounts of the `SOURCE`: file or database")
	f.TextVar(&address, "address", netip.Addr{}, "only those that were begun from the `IP` address")
	f.TextVar(&q.Network, "network", netip.Prefix{}, "only those that were begun from the `NETWORK`, such as 10.0.0.0/8")
	f.TextVar(&idle, "idle-for", value.Duration(0), "only those not used for that `TIME` or longer: 30m, 12h, 7d")
	f.TextVar(&older, "older-than", value.Duration(0), "only those begun that `TIME` ago or earlier: 30m, 12h, 7d")
	f.IntVar(&q.Limit, "limit", 0, "at most `N`")
	f.StringVar(&q.After, "after", "", "only those behind the `ID`, the last one of the page before")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	p.completeFlag(cmd, "user", p.userNames)
	p.completeFlag(cmd, "after", p.sessionIDs)
	p.completeFlag(cmd, "source", cobra.FixedCompletions([]string{"file", "database"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// listSessions prints the sessions as they are read. With a limit it asks for one
// more, to find out whether there is another page.
func (p *cli) listSessions(ctx context.Context, a *admin.Admin, q admin.SessionQuery, asJSON bool) error {
	if err := checkPage(q.Limit, q.Source); err != nil {
		return err
	}
	limit := q.Limit
	if limit > 0 {
		q.Limit++ // the one more shows that there is another page
	}
	columns := []column{{"ID", 0}, {"USER", 8}, {"SIGNED IN", 0}, {"LAST USED", 0}, {"ENDS", 0}, {"ADDRESS", 15}, {"AGENT", 5}}
	if p.severalHosts {
		columns = append(columns, column{"HOSTS", 10})
	}
	t := newTable(p.Out, asJSON, columns...)
	n, last := 0, ""
	for s, err := range a.Sessions(ctx, q) {
		if err != nil {
			return err
		}
		if n++; limit > 0 && n > limit {
			break
		}
		last = s.ID
		cells := []string{s.ID, s.User, t.relativeTime(s.Login), t.relativeTime(s.Seen), t.relativeTime(s.Expires), s.Addr, s.Agent}
		if p.severalHosts {
			cells = append(cells, strings.Join(s.Hosts, " "))
		}
		if err := t.row(s, cells...); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	if limit > 0 && n > limit {
		p.tell("There are more:  --after %s\n", last)
	}
	return nil
}

// checkPage returns a usage error if --limit or --source has a wrong value.
func checkPage(limit int, source string) error {
	switch {
	case limit < 0:
		return usage("--limit wants a number above 0, and not %d", limit)
	case source != "" && source != "file" && source != "database":
		return usage("--source is file or database, and not %q", source)
	default:
		return nil
	}
}

// sessionShow returns the command "gatehouse session show".
func (p *cli) sessionShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a session", Args: exactlyOne("the ID of a session"), SuggestFor: []string{"get", "info"},
		Long:    "Show all that is known of a session. The beginning of its ID suffices where no other begins so.",
		Example: "  gatehouse session show 3f9a5c0d1e2b4a67",
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, args []string) error {
			s, err := a.Session(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.Out).Encode(s)
			}
			return writeFields(p.Out, "id", s.ID, "user", s.User, "source", s.Source,
				"signed in", formatTime(s.Login), "last used", formatTime(s.Seen), "ends", formatTime(s.Expires),
				"ends at the latest", formatTime(s.Limit), "address", s.Addr, "agent", s.Agent, "hosts", strings.Join(s.Hosts, " "))
		}),
		ValidArgsFunction: onlyFirst(p.sessionIDs),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

// sessionRevoke returns the command "gatehouse session revoke". Exactly one of ID, --user and
// --all must be given.
func (p *cli) sessionRevoke() *cobra.Command {
	var which admin.Revocation
	var yes bool
	cmd := &cobra.Command{
		Use: "revoke (ID | --user NAME | --all)", Short: "End sessions", SuggestFor: []string{"end", "kill", "delete", "remove", "rm", "logout"},
		Long: `End a session, every session of an account, or every session of everybody. They
are dead at their next request, and what is under way for them is cut off.

On a terminal, --all asks before it signs everybody out.`,
		Example: `  gatehouse session revoke 3f9a5c0d1e2b4a67
  gatehouse session revoke --user alice
  gatehouse session revoke --all --yes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("%s takes one ID; run it once for each, or write --user NAME or --all", cmd.CommandPath())
			}
			said := len(args)
			for _, is := range []bool{which.User != "", which.All} {
				if is {
					said++
				}
			}
			if said != 1 {
				return usage("%s: say which: an ID, --user NAME, or --all, and one of them only", cmd.CommandPath())
			}
			return nil
		},
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, args []string) error {
			if len(args) == 1 {
				which.ID = args[0]
			}
			return p.revoke(ctx, a, which, yes)
		}),
		ValidArgsFunction: onlyFirst(p.sessionIDs),
	}
	cmd.Flags().StringVar(&which.User, "user", "", "every session of the account `NAME`")
	cmd.Flags().BoolVar(&which.All, "all", false, "every session of everybody")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before --all")
	p.completeFlag(cmd, "user", p.userNames)
	return cmd
}

// revoke ends sessions. If all are to end and a person is at the terminal, it
// asks first, unless yes is set.
func (p *cli) revoke(ctx context.Context, a *admin.Admin, which admin.Revocation, yes bool) error {
	if which.All && !yes && p.terminal() != nil {
		n, err := a.Count(ctx)
		if err != nil {
			return err
		}
		if sure, err := p.confirm(ctx, fmt.Sprintf("This signs everybody out: up to %s. Go on?", sessionsInWords(n))); err != nil {
			return err
		} else if !sure {
			_, err = fmt.Fprintln(p.Out, "nothing was ended")
			return err
		}
	}
	stop := p.progress(ctx, "ending sessions", p.fewer(ctx, a))
	n, err := a.Revoke(ctx, which)
	stop()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Out, "ended %s\n", sessionsInWords(n))
	return err
}

// sessionPurge returns the command "gatehouse session purge".
func (p *cli) sessionPurge() *cobra.Command {
	return &cobra.Command{
		Use: "purge", Short: "Remove expired sessions now", Args: noArguments, SuggestFor: []string{"clean", "clear", "clearsessions"},
		Long: `Remove expired sessions from the store. The running gate does so by itself every
few minutes. The file gets no smaller by it, but uses the space again; see
gatehouse compact.`,
		Example: "  gatehouse session purge",
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, _ []string) error {
			stop := p.progress(ctx, "removing expired sessions", p.fewer(ctx, a))
			n, err := a.Purge(ctx)
			stop()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.Out, "removed %s\n", sessionsInWords(n))
			return err
		}),
	}
}

// fewer returns a function for progress that tells by how many sessions the store
// has shrunk since now. It returns nil where no progress is shown, so that
// nothing is counted in vain.
func (p *cli) fewer(ctx context.Context, a *admin.Admin) func(context.Context) string {
	if !screenOf(p.Err).redraw {
		return nil
	}
	first, err := a.Count(ctx)
	if err != nil {
		return func(context.Context) string { return "" } // the work itself will fail and report it
	}
	return func(ctx context.Context) string {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		n, err := a.Count(ctx)
		if err != nil || n >= first {
			return ""
		}
		return fmt.Sprintf("%s gone, %s left", formatNumber(int64(first-n)), formatNumber(int64(n)))
	}
}
