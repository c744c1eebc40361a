package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/auth/account"
	"gatehouse/server/admin"
)

// userCommand returns the command "gatehouse user" with its subcommands.
func (p *cli) userCommand() *cobra.Command {
	user := &cobra.Command{
		Use: "user", Short: "Accounts: who may sign in", Args: knownSubcommand, SuggestFor: []string{"users", "account", "accounts"},
		Long: `Accounts: who may sign in. These commands change the accounts of the database; an
account of the configuration file is changed there, and wins over one of the
same name in the database.`,
		Example: "  gatehouse user add alice --email alice@example.com --group staff",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	user.AddCommand(p.userAdd(), p.userSet(), p.userPasswd(), p.userList(), p.userShow(),
		p.userSimple("disable", "Disable an account and end its sessions", "disabled", []string{"lock"}, func(ctx context.Context, a *admin.Admin, name string) error {
			return a.SetDisabled(ctx, name, true)
		}),
		p.userSimple("enable", "Enable an account again", "enabled", []string{"unlock"}, func(ctx context.Context, a *admin.Admin, name string) error {
			return a.SetDisabled(ctx, name, false)
		}),
		p.userSimple("delete", "Delete an account and end its sessions", "deleted", []string{"remove", "rm", "del"}, func(ctx context.Context, a *admin.Admin, name string) error {
			return a.DeleteUser(ctx, name)
		}))
	return user
}

// anAccount accepts the name of one account.
var anAccount = exactlyOne("the name of an account")

// userAdd returns the command "gatehouse user add". Names that look like another account's are
// allowed, but warned of once the account is there.
func (p *cli) userAdd() *cobra.Command {
	var u admin.NewUser
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add an account", Args: anAccount, SuggestFor: []string{"create", "new"},
		Long: `Add an account. Its password is asked for twice on a terminal, with a word on how
hard it is to guess, or read from one line of standard input; it is never an
argument. It has at least 15 characters (login.password_min), of any kind. A name
that looks like that of another account is warned of.`,
		Example: `  gatehouse user add alice --email alice@example.com --display-name "Alice Doe" --group staff --group admins
  gatehouse user add alice --password-stdin < password.txt`,
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, args []string) error {
			var err error
			if u.Name, err = account.NormalizeName(args[0]); err != nil {
				return usage("%q is no name of an account: %v", args[0], err)
			}
			if _, err := a.User(ctx, u.Name); err == nil {
				return fmt.Errorf("account %q %w", u.Name, admin.ErrExists) // before somebody types a password twice in vain
			}
			hash, err := p.newHash(ctx, u.Name, fromStdin)
			if err != nil {
				return err
			}
			u.Hash = admin.Hash(hash)
			if err := a.AddUser(ctx, u); err != nil {
				return err
			}
			if _, err = fmt.Fprintf(p.Out, "added %s\n", printable(u.Name)); err != nil {
				return err
			}
			return p.warnOfTwins(ctx, a, u.Name)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, passwordStdin)
	cmd.Flags().StringVar(&u.Email, "email", "", "e-mail `ADDRESS`")
	cmd.Flags().StringVar(&u.DisplayName, "display-name", "", "`NAME` as people write it")
	cmd.Flags().StringArrayVar(&u.Groups, "group", nil, "a `GROUP`; may be given several times")
	return cmd
}

// warnOfTwins warns of accounts whose names look like the new one to people. It
// reads all accounts.
func (p *cli) warnOfTwins(ctx context.Context, a *admin.Admin, name string) error {
	look := account.Look(name)
	for u, err := range a.Users(ctx, admin.UserQuery{}) {
		if err != nil {
			return fmt.Errorf("the account was added; look for others like it: %w", err)
		}
		if u.Name != name && account.Look(u.Name) == look {
			p.tell("Warning: %s looks like the account %s, and people will take one for the other.\n", printable(name), printable(u.Name))
		}
	}
	return nil
}

// userSet returns the command "gatehouse user set". A flag that is given with an empty value
// removes, as opposed to one that is not given.
func (p *cli) userSet() *cobra.Command {
	var email, name string
	var groups []string
	var c admin.UserChange
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change the e-mail address, the display name and the groups of an account", Args: anAccount,
		SuggestFor: []string{"change", "edit", "update", "modify", "mod"},
		Long: `Change what applications are told of an account. What is not named stays. It
counts from the next request on; nobody is signed out. An empty value ("")
takes the address, the display name or all groups away.`,
		Example: `  gatehouse user set alice --email alice@example.com --display-name "Alice Doe"
  gatehouse user set alice --group staff --group admins
  gatehouse user set alice --add-group admins --remove-group staff
  gatehouse user set alice --email ""`,
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, args []string) error {
			c.Name = args[0]
			return p.setUser(ctx, a, c)
		}),
		ValidArgsFunction: onlyFirst(p.userNames),
	}
	f := cmd.Flags()
	f.StringVar(&email, "email", "", "e-mail `ADDRESS`")
	f.StringVar(&name, "display-name", "", "`NAME` as people write it")
	f.StringArrayVar(&groups, "group", nil, "a `GROUP`, in place of all that it is in; may be given several times")
	f.StringArrayVar(&c.AddGroups, "add-group", nil, "one more `GROUP`; may be given several times")
	f.StringArrayVar(&c.RemoveGroups, "remove-group", nil, "a `GROUP` to leave; may be given several times")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if f.Changed("email") {
			c.Email = &email
		}
		if f.Changed("display-name") {
			c.DisplayName = &name
		}
		if f.Changed("group") {
			if len(groups) == 1 && groups[0] == "" {
				groups = []string{} // no groups; nil would mean no change
			}
			c.Groups = &groups
		}
		if c.Email == nil && c.DisplayName == nil && c.Groups == nil && len(c.AddGroups) == 0 && len(c.RemoveGroups) == 0 {
			return usage("%s: say what to change: --email, --display-name, --group, --add-group or --remove-group", cmd.CommandPath())
		}
		return nil
	}
	return cmd
}

// setUser applies the change and shows the account as it is afterwards.
func (p *cli) setUser(ctx context.Context, a *admin.Admin, c admin.UserChange) error {
	u, err := a.ChangeUser(ctx, c)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.Out, "changed %s\n", printable(u.Name)); err != nil {
		return err
	}
	return writeUser(p, u)
}

// userPasswd returns the command "gatehouse user passwd". It looks the account up first, so that
// nobody types a password for a name that does not exist.
func (p *cli) userPasswd() *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "passwd NAME", Short: "Change a password and end the account's sessions", Args: anAccount, SuggestFor: []string{"password", "reset"},
		Long: `Change the password of an account. Its sessions end, so that whoever knew the old
one is out. It is asked for and judged as by gatehouse user add.`,
		Example: `  gatehouse user passwd alice
  gatehouse user passwd alice --password-stdin < password.txt`,
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, args []string) error {
			u, err := a.User(ctx, args[0])
			if err != nil {
				return err
			}
			hash, err := p.newHash(ctx, u.Name, fromStdin)
			if err != nil {
				return err
			}
			if err := a.SetPassword(ctx, admin.NewPassword{Name: u.Name, Hash: admin.Hash(hash)}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.Out, "changed the password of %s\n", printable(u.Name))
			return err
		}),
		ValidArgsFunction: onlyFirst(p.userNames),
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, passwordStdin)
	return cmd
}

// userSimple returns a command that does one thing to one account with f. done is
// the word for it in the output, also are other names under which it is
// suggested.
func (p *cli) userSimple(verb, short, done string, also []string, f func(context.Context, *admin.Admin, string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: anAccount, SuggestFor: also,
		Long:    short + ". It counts at once.",
		Example: "  gatehouse user " + verb + " alice",
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, args []string) error {
			if err := f(ctx, a, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.Out, "%s %s\n", done, printable(args[0]))
			return err
		}),
		ValidArgsFunction: onlyFirst(p.userNames),
	}
}

// userList returns the command "gatehouse user list".
func (p *cli) userList() *cobra.Command {
	var q admin.UserQuery
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List accounts, of the file and of the database", Args: noArguments, SuggestFor: []string{"ls", "all"},
		Long: `List the accounts of the configuration file, then those of the database by name.
With several flags, an account is listed that fits them all.`,
		Example: `  gatehouse user list
  gatehouse user list --group admins --json
  gatehouse user list --disabled`,
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, _ []string) error {
			if err := checkPage(q.Limit, q.Source); err != nil {
				return err
			}
			t := newTable(p.Out, asJSON, column{"NAME", 8}, column{"SOURCE", 0}, column{"STATE", 0}, column{"GROUPS", 8}, column{"EMAIL", 8})
			for u, err := range a.Users(ctx, q) {
				if err != nil {
					return err
				}
				if err := t.row(u, u.Name, u.Source, state(u), strings.Join(u.Groups, ","), u.Email); err != nil {
					return err
				}
			}
			return t.end()
		}),
	}
	f := cmd.Flags()
	f.StringVar(&q.Group, "group", "", "only those in the `GROUP`")
	f.StringVar(&q.Source, "source", "", "only those of the `SOURCE`: file or database")
	f.BoolVar(&q.Disabled, "disabled", false, "only those that are disabled")
	f.IntVar(&q.Limit, "limit", 0, "at most `N`")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	p.completeFlag(cmd, "source", cobra.FixedCompletions([]string{"file", "database"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// userShow returns the command "gatehouse user show".
func (p *cli) userShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show an account", Args: anAccount, SuggestFor: []string{"get", "info"},
		Long:    "Show what is known of an account, and how many sessions it has. Its password cannot be shown.",
		Example: "  gatehouse user show alice",
		RunE: p.withAdmin(func(ctx context.Context, a *admin.Admin, args []string) error {
			u, err := a.User(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.Out).Encode(u)
			}
			return writeUser(p, u)
		}),
		ValidArgsFunction: onlyFirst(p.userNames),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

// writeUser prints an account, one field a line.
func writeUser(p *cli, u admin.User) error {
	sessions := "could not tell"
	if u.Sessions != nil {
		sessions = strconv.Itoa(*u.Sessions)
	}
	return writeFields(p.Out,
		"name", u.Name, "display name", u.DisplayName, "email", u.Email, "groups", strings.Join(u.Groups, ", "),
		"state", state(u), "source", u.Source, "sessions", sessions, "created", formatTime(u.Created), "changed", formatTime(u.Changed))
}

// state returns "active" or "disabled".
func state(u admin.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "active"
}
