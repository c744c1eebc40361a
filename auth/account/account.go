// Package account looks people up. It has the sources of accounts, which are the
// configuration file and the database, and the order in which they are asked. A
// source also checks passwords, and decides whether a session is still valid for
// its account.
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

// An Account is a person as a source knows them. Groups may be shared with other
// copies of the Account: clone the slice before changing it.
type Account struct {
	Name         string      // NFKC, 1 to 256 bytes, no control characters; see NormalizeName
	PasswordHash secret.Text // empty where the source keeps no hash that we can check
	Email        string      // "" when unknown
	DisplayName  string      // "" when unknown
	Groups       []string
	Disabled     bool
	// Stamp is replaced when the password is changed (but not when only its hash
	// is upgraded) and when the account is disabled. A session carries the stamp
	// of its login and ends when the two differ. It is opaque: only the source
	// compares stamps.
	Stamp   string
	Source  string    // the name of the source; see Source.Name
	Created time.Time // zero when unknown
	Changed time.Time // time of the last change; zero when unknown
}

// Ref returns the reference to the account that a session stores.
func (a *Account) Ref() Ref { return Ref{Name: a.Name, Source: a.Source, Stamp: a.Stamp} }

// A Ref refers to an account as it was when somebody signed in to it.
type Ref struct {
	Name   string // normalized
	Source string // part of the identity: two sources may have different people of one name
	Stamp  string // the account's stamp at login
}

// checkFacts reports what could not be sent to upstreams in headers: nothing may
// break a line, or a comma-separated list of groups. Limits are in bytes.
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

// badFact returns what is wrong with a text that may have at most size bytes, as
// the end of a sentence; "" if nothing is.
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

// The errors by which a source answers no. Any other error means that the source
// could not tell, for example because a database does not answer.
var (
	ErrNoAccount     = errors.New("account: no such account")
	ErrWrongPassword = errors.New("account: wrong password")
	ErrDisabled      = errors.New("account: the account is disabled")
	// ErrMoved means that the account has changed since its password was checked:
	// it has another password, or was disabled.
	ErrMoved = errors.New("account: the account was changed meanwhile")
	// ErrOtherSource means that the name of a session's account now belongs to an
	// account of another source.
	ErrOtherSource = errors.New("account: the name belongs to an account of another source")
	// ErrExists means that the name is taken.
	ErrExists = errors.New("account: the account exists already")
)
