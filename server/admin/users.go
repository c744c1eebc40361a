package admin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/auth/account"
	"gatehouse/internal/secret"
)

// A User is what administrators see of an account: everything but the password
// hash.
type User struct {
	Name        string    `json:"name"`
	Email       string    `json:"email,omitempty"`
	DisplayName string    `json:"display_name,omitempty"`
	Groups      []string  `json:"groups,omitempty"`
	Disabled    bool      `json:"disabled"`
	Source      string    `json:"source"`             // file or database
	Sessions    *int      `json:"sessions,omitempty"` // number of live sessions; nil: not counted (in lists), or not known
	Created     time.Time `json:"created,omitzero"`   // zero: unknown, as for accounts of the file
	Changed     time.Time `json:"changed,omitzero"`
}

// publicUser returns what administrators may see of an account.
func publicUser(a account.Account) User {
	return User{
		Name: a.Name, Email: a.Email, DisplayName: a.DisplayName, Groups: a.Groups,
		Disabled: a.Disabled, Source: a.Source, Created: a.Created, Changed: a.Changed,
	}
}

// A UserQuery selects accounts: those that match every field that is set. The
// zero value selects all.
type UserQuery struct {
	Group    string `json:"group,omitempty"`
	Source   string `json:"source,omitempty"`   // file or database
	Disabled bool   `json:"disabled,omitempty"` // only disabled ones
	Prefix   string `json:"prefix,omitempty"`   // of the name
	Limit    int    `json:"limit,omitempty"`    // at most this many; 0: all
}

// selects reports whether a matches the query, apart from its limit.
func (q *UserQuery) selects(a *account.Account) bool {
	return (q.Group == "" || slices.Contains(a.Groups, q.Group)) &&
		(q.Source == "" || a.Source == q.Source) &&
		(!q.Disabled || a.Disabled) &&
		strings.HasPrefix(a.Name, q.Prefix)
}

// A NewUser is an account to add. Name and Hash are required.
type NewUser struct {
	Name        string   `json:"name"`
	Hash        sentHash `json:"hash"` // made by Hash
	Email       string   `json:"email,omitempty"`
	DisplayName string   `json:"display_name,omitempty"`
	Groups      []string `json:"groups,omitempty"`
}

// A NewPassword is a new password hash for the account Name.
type NewPassword struct {
	Name string   `json:"name"`
	Hash sentHash `json:"hash"` // made by Hash
}

// A sentHash is a password hash, never a password, that is sent over the control
// socket and nowhere else. Its JSON contains the hash; printing it does not show
// it.
type sentHash struct{ secret.Text }

// Hash marks t as a password hash that may be sent to the gate.
func Hash(t secret.Text) sentHash { return sentHash{t} }

// MarshalJSON returns the hash itself, as opposed to that of secret.Text.
func (h sentHash) MarshalJSON() ([]byte, error) { return json.Marshal(h.Reveal()) }

// UnmarshalJSON reads what MarshalJSON wrote. It does not check the hash.
func (h *sentHash) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("read hash: %w", err)
	}
	h.Text = secret.New(s)
	return nil
}

// A UserChange says what to change about the account Name. What is nil stays; an
// empty value removes.
type UserChange struct {
	Name         string    `json:"name"`
	Email        *string   `json:"email,omitempty"`
	DisplayName  *string   `json:"display_name,omitempty"`
	Groups       *[]string `json:"groups,omitempty"` // replaces all groups, before the two below
	AddGroups    []string  `json:"add_groups,omitempty"`
	RemoveGroups []string  `json:"remove_groups,omitempty"`
}

// apply changes a. Groups are replaced first, then added, then removed. It may
// run more than once for one change, so it only depends on a and c.
func (c *UserChange) apply(a *account.Account) {
	if c.Email != nil {
		a.Email = *c.Email
	}
	if c.DisplayName != nil {
		a.DisplayName = *c.DisplayName
	}
	if c.Groups != nil {
		a.Groups = slices.Clone(*c.Groups)
	}
	for _, g := range c.AddGroups {
		if !slices.Contains(a.Groups, g) {
			a.Groups = append(a.Groups, g)
		}
	}
	a.Groups = slices.DeleteFunc(a.Groups, func(g string) bool { return slices.Contains(c.RemoveGroups, g) })
}
