// Package account is where people are looked up: sources of accounts, such as
// the configuration file and the database, and the order in which they are
// asked. A source also says whether a password is right, and whether an account
// still counts for a session that began with it.
package account

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// An Account is a person as a source knows them. Its Groups may be shared with
// others: whoever wants to change them makes a copy.
type Account struct {
	Name         string      // NFKC, 1 to 256 bytes, no control characters; see NormalizeName
	PasswordHash secret.Text // empty where the source keeps no hash that we can check
	Email        string      // "" when unknown
	DisplayName  string      // "" when unknown
	Groups       []string
	Disabled     bool
	// Stamp moves when the password is changed, but not when its hash is
	// upgraded, and when the account is disabled. A session carries the stamp of
	// its login, and ends when the two differ. Only the source compares them.
	Stamp   string
	Source  string    // the name of the source; see Source.Name
	Created time.Time // zero when unknown
	Changed time.Time // of the last change; zero when unknown
}

// Ref returns what a session keeps of the account.
func (a *Account) Ref() Ref { return Ref{Name: a.Name, Source: a.Source, Stamp: a.Stamp} }

// A Ref is an account as it was when somebody proved that it is theirs.
type Ref struct {
	Name   string
	Source string // of the account: accounts of one name in two sources are two people
	Stamp  string
}

// checkFacts reports what must not be told to upstreams in headers: nothing may
// break a line, or a list of groups.
func checkFacts(a Account, report *problem.List) {
	for _, f := range []struct {
		key, text string
		max       int
	}{{"email", a.Email, 320}, {"display_name", a.DisplayName, 256}} {
		if why := badFact(f.text, f.max); why != "" {
			report.Errorf(f.key, "%q %s; write it without", f.text, why)
		}
	}
	if a.Email != "" && strings.Count(a.Email, "@") != 1 {
		report.Errorf("email", "%q is no address; write one like name@example.com, or leave it out", a.Email)
	}
	for i, g := range a.Groups {
		switch why := badFact(g, 256); {
		case g == "" || why != "":
			report.Errorf(fmt.Sprintf("groups[%d]", i), "%q is empty, too long, or has control characters; write a plain name", g)
		case strings.Contains(g, ",") || strings.TrimSpace(g) != g:
			report.Errorf(fmt.Sprintf("groups[%d]", i), "%q has a comma or a space at an end, and upstreams are told groups with commas between; write a plain name", g)
		}
	}
}

// badFact returns what is wrong with a text of at most size bytes; "" when
// nothing is.
func badFact(s string, size int) string {
	switch {
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case len(s) > size:
		return fmt.Sprintf("is longer than %d bytes", size)
	case HasControl(s):
		return "has a control or format character"
	}
	return ""
}

// The outcomes of a question to a source, besides an account. Any other error
// means that the source could not tell.
var (
	ErrNoAccount     = errors.New("account: no such account")
	ErrWrongPassword = errors.New("account: wrong password")
	ErrDisabled      = errors.New("account: the account is disabled")
	// ErrMoved is returned for an account that is not any more what it was when
	// its password was confirmed: it has another password, or is disabled.
	ErrMoved = errors.New("account: the account was changed meanwhile")
	// ErrOtherSource is returned for a session's account when its name now
	// belongs to an account of another source.
	ErrOtherSource = errors.New("account: the name belongs to an account of another source")
	// ErrExists is returned when a name is taken.
	ErrExists = errors.New("account: the account exists already")
)
