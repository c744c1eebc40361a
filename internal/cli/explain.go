package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/server/admin"
)

// explainCommand returns the command "gatehouse explain". It shows the interpretations of a path
// only if there are several: the gate refuses the request if they lead to
// different decisions.
func (p *cli) explainCommand() *cobra.Command {
	q := admin.ExplainRequest{}
	var asJSON bool
	cmd := &cobra.Command{
		Use: "explain URL", Short: "Say which route and rule decide about a request, and why", Args: exactlyOne("the URL of a request"),
		Long: `Say which route and rule decide about a request, and why, without sending one.
The rule's line in the configuration is shown, what it asks for, and what the
person has. Where a path can be read in several ways, each is shown, and what
may be left of it where a rule or a route names that: the gate refuses a request
about whose readings its rules differ.`,
		Example: `  gatehouse explain --user alice https://wiki.example.com/admin/
  gatehouse explain --method DELETE --from 10.0.0.7 /files/1`,
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, args []string) error {
			q.URL, q.Method = args[0], strings.ToUpper(q.Method)
			e, err := a.Explain(ctx, q)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.Out).Encode(e)
			}
			if err := writeFields(p.Out, "decision", e.Decision, "why", e.Why, "route", e.Route, "rule", ruleName(e.Rule),
				"line", e.Line, "asks for", e.Asks, "has", e.Has); err != nil {
				return err
			}
			if len(e.Readings) < 2 {
				return nil
			}
			if _, err := fmt.Fprintln(p.Out, "\nThe path can be read in several ways:"); err != nil {
				return err
			}
			t := newTable(p.Out, false, column{"AS", 10}, column{"PATH", 10}, column{"ROUTE", 10}, column{"RULE", 0}, column{"DECISION", 0})
			for _, r := range e.Readings {
				if err := t.row(r, r.How, r.Path, r.Route, ruleName(r.Rule), r.Decision); err != nil {
					return err
				}
			}
			return t.end()
		}),
	}
	cmd.Flags().StringVar(&q.User, "user", "", "the account `NAME` that asks; left out: somebody who is not signed in")
	cmd.Flags().StringVar(&q.Method, "method", "GET", "the request's `METHOD`")
	cmd.Flags().StringVar(&q.From, "from", "", "the visitor's `IP` address")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	p.completeFlag(cmd, "user", p.userNames)
	p.completeFlag(cmd, "method", cobra.FixedCompletions([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// ruleName returns the key of a rule in its route, such as access[2]; "" for a
// negative index, which means that no rule matched.
func ruleName(i int) string {
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("access[%d]", i)
}
