package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/server"
)

func (p *cli) sessionCommand() *cobra.Command {
	session := &cobra.Command{
		Use: "session", Short: "Sessions: who is signed in", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	session.AddCommand(p.sessionList(), p.sessionShow(), p.sessionRevoke(), p.sessionPurge())
	return session
}

func (p *cli) sessionList() *cobra.Command {
	var user string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List sessions", Args: cobra.NoArgs,
		RunE: p.withAdmin(func(ctx context.Context, a server.Admin, _ []string) error {
			t := newListing(p.out, asJSON, "ID", "USER", "SIGNED IN", "LAST USED", "ENDS", "ADDRESS", "AGENT")
			for s, err := range a.Sessions(ctx, server.SessionQuery{User: user}) {
				if err != nil {
					return err
				}
				if err := t.row(s, s.ID, s.User, moment(s.Login), moment(s.Seen), moment(s.Expires), s.Addr, shorten(s.Agent, 40)); err != nil {
					return err
				}
			}
			return t.end()
		}),
	}
	cmd.Flags().StringVar(&user, "user", "", "only this user's")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func (p *cli) sessionShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a session", Args: cobra.ExactArgs(1),
		RunE: p.withAdmin(func(ctx context.Context, a server.Admin, args []string) error {
			s, err := a.Session(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(s)
			}
			return writeFields(p.out, "id", s.ID, "user", s.User, "source", s.Source,
				"signed in", moment(s.Login), "last used", moment(s.Seen), "ends", moment(s.Expires),
				"ends at the latest", moment(s.Limit), "address", s.Addr, "agent", s.Agent)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func (p *cli) sessionRevoke() *cobra.Command {
	var which server.Revocation
	cmd := &cobra.Command{
		Use: "revoke (ID | --user NAME | --all)", Short: "End sessions: they are dead at their next request",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			said := len(args)
			for _, is := range []bool{which.User != "", which.All} {
				if is {
					said++
				}
			}
			if said != 1 {
				return errors.New("session revoke: say which: an ID, --user NAME, or --all")
			}
			if len(args) == 1 {
				which.ID = args[0]
			}
			return p.withAdmin(func(ctx context.Context, a server.Admin, _ []string) error {
				n, err := a.Revoke(ctx, which)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(p.out, "ended %s\n", sessionsInWords(n))
				return err
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&which.User, "user", "", "every session of this user")
	cmd.Flags().BoolVar(&which.All, "all", false, "every session of everybody")
	return cmd
}

func (p *cli) sessionPurge() *cobra.Command {
	return &cobra.Command{
		Use: "purge", Short: "Remove expired sessions now", Args: cobra.NoArgs,
		Long: "Remove expired sessions from the store. The running gate does so by itself every few minutes.",
		RunE: p.withAdmin(func(ctx context.Context, a server.Admin, _ []string) error {
			n, err := a.Purge(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "removed %s\n", sessionsInWords(n))
			return err
		}),
	}
}

func sessionsInWords(n int) string {
	if n == 1 {
		return "1 session"
	}
	return fmt.Sprintf("%d sessions", n)
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func (p *cli) explainCommand() *cobra.Command {
	q := server.Question{}
	var asJSON bool
	cmd := &cobra.Command{
		Use: "explain URL", Short: "Say which route and rule decide about a request, and why", Args: cobra.ExactArgs(1),
		Example: `  gatehouse explain --user alice https://wiki.example.com/admin/
  gatehouse explain --method DELETE --from 10.0.0.7 /files/1`,
		RunE: p.withAdmin(func(ctx context.Context, a server.Admin, args []string) error {
			q.URL = args[0]
			e, err := a.Explain(ctx, q)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(e)
			}
			if err := writeFields(p.out, "decision", e.Decision, "why", e.Why, "route", e.Route, "rule", ruleName(e.Rule)); err != nil {
				return err
			}
			if len(e.Readings) < 2 {
				return nil
			}
			if _, err := fmt.Fprintln(p.out, "\nThe path can be read in several ways:"); err != nil {
				return err
			}
			t := newListing(p.out, false, "AS", "PATH", "ROUTE", "RULE", "DECISION")
			for _, r := range e.Readings {
				if err := t.row(r, r.How, r.Path, r.Route, ruleName(r.Rule), r.Decision); err != nil {
					return err
				}
			}
			return t.end()
		}),
	}
	cmd.Flags().StringVar(&q.User, "user", "", "who asks; left out: somebody who is not signed in")
	cmd.Flags().StringVar(&q.Method, "method", "GET", "the request's method")
	cmd.Flags().StringVar(&q.From, "from", "", "the visitor's IP address")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	cmd.PreRun = func(*cobra.Command, []string) { q.Method = strings.ToUpper(q.Method) }
	return cmd
}

func ruleName(i int) string {
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("access[%d]", i)
}
