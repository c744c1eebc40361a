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

// A User is what administrators see of an account: everything but the hash.
type User struct {
	Name        string    `json:"name"`
	Email       string    `json:"email,omitempty"`
	DisplayName string    `json:"display_name,omitempty"`
	Groups      []string  `json:"groups,omitempty"`
	Disabled    bool      `json:"disabled"`
	Source      string    `json:"source"`             // file or database
	Sessions    *int      `json:"sessions,omitempty"` // how many; nil: not counted (lists), or could not tell
	Created     time.Time `json:"created,omitzero"`   // zero: unknown, as with accounts of the file
	Changed     time.Time `json:"changed,omitzero"`
}

func publicUser(a account.Account) User {
	return User{
		Name: a.Name, Email: a.Email, DisplayName: a.DisplayName, Groups: a.Groups,
		Disabled: a.Disabled, Source: a.Source, Created: a.Created, Changed: a.Changed,
	}
}

// A UserQuery selects accounts. An account has to fit every field that is set;
// the zero value selects all.
type UserQuery struct {
	Group    string `json:"group,omitempty"`
	Source   string `json:"source,omitempty"`   // file or database
	Disabled bool   `json:"disabled,omitempty"` // only disabled ones
	Prefix   string `json:"prefix,omitempty"`   // of the name
	Limit    int    `json:"limit,omitempty"`    // at most so many; 0: all
}

func (q *UserQuery) selects(a *account.Account) bool {
	return (q.Group == "" || slices.Contains(a.Groups, q.Group)) &&
		(q.Source == "" || a.Source == q.Source) &&
		(!q.Disabled || a.Disabled) &&
		strings.HasPrefix(a.Name, q.Prefix)
}

// A NewUser is an account to add.
type NewUser struct {
	Name        string   `json:"name"`
	Hash        sentHash `json:"hash"` // made by Hash
	Email       string   `json:"email,omitempty"`
	DisplayName string   `json:"display_name,omitempty"`
	Groups      []string `json:"groups,omitempty"`
}

// A NewPassword replaces an account's password hash.
type NewPassword struct {
	Name string   `json:"name"`
	Hash sentHash `json:"hash"` // made by Hash
}

// A sentHash is a password hash, never a password, that goes over the control
// socket and nowhere else: it shows in JSON, and not when it is printed.
type sentHash struct{ secret.Text }

// Hash marks a password hash as one to send to the gate.
func Hash(t secret.Text) sentHash { return sentHash{t} }

// MarshalJSON writes the hash itself.
func (h sentHash) MarshalJSON() ([]byte, error) { return json.Marshal(h.Reveal()) }

// UnmarshalJSON reads it.
func (h *sentHash) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("read hash: %w", err)
	}
	h.Text = secret.New(s)
	return nil
}

// A UserChange says what to change of an account; what is nil stays.
type UserChange struct {
	Name         string    `json:"name"`
	Email        *string   `json:"email,omitempty"`
	DisplayName  *string   `json:"display_name,omitempty"`
	Groups       *[]string `json:"groups,omitempty"` // replaces all groups, before the two below
	AddGroups    []string  `json:"add_groups,omitempty"`
	RemoveGroups []string  `json:"remove_groups,omitempty"`
}

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
