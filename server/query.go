package server

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/sessions"
)

// A SessionQuery selects sessions; the zero value selects all.
type SessionQuery struct {
	User      string        `json:"user,omitempty"`
	Source    string        `json:"source,omitempty"`     // file or database
	Network   netip.Prefix  `json:"network,omitzero"`     // that the visitor signed in from
	IdleFor   time.Duration `json:"idle_for,omitempty"`   // at least so long not used
	OlderThan time.Duration `json:"older_than,omitempty"` // signed in at least so long ago
	Prefix    string        `json:"prefix,omitempty"`     // of the ID
	After     string        `json:"after,omitempty"`      // only IDs greater than this: the next page
	Limit     int           `json:"limit,omitempty"`      // at most so many; 0: all
}

// inStore is what of the query the store answers by its indexes.
func (q *SessionQuery) inStore() sessions.Query {
	s := sessions.Query{Prefix: q.Prefix}
	if q.User != "" {
		s.User = normal(q.User)
	}
	if q.After != "" {
		// An ID is the beginning of a key; this is the last key that has it.
		s.After = q.After + strings.Repeat("f", max(0, keyLen-len(q.After)))
	}
	return s
}

const keyLen = 64

// selects is the rest.
func (q *SessionQuery) selects(i *sessions.Info, now time.Time) bool {
	switch {
	case q.Source != "" && i.Source != q.Source,
		q.IdleFor > 0 && now.Sub(i.Seen) < q.IdleFor,
		q.OlderThan > 0 && now.Sub(i.Login) < q.OlderThan:
		return false
	}
	if !q.Network.IsValid() {
		return true
	}
	addr, err := netip.ParseAddr(i.Addr)
	return err == nil && q.Network.Contains(addr.Unmap().WithZone(""))
}

// A UserQuery selects accounts; the zero value selects all.
type UserQuery struct {
	Group    string `json:"group,omitempty"`
	Source   string `json:"source,omitempty"` // file or database
	Disabled bool   `json:"disabled,omitempty"`
	Prefix   string `json:"prefix,omitempty"` // of the name
	Limit    int    `json:"limit,omitempty"`  // at most so many; 0: all
}

func (q *UserQuery) selects(a *auth.Account) bool {
	return (q.Group == "" || slices.Contains(a.Groups, q.Group)) &&
		(q.Source == "" || a.Source == q.Source) &&
		(!q.Disabled || a.Disabled) &&
		strings.HasPrefix(a.Name, q.Prefix)
}

// A UserChange says what to change of an account; what is nil stays.
type UserChange struct {
	Name         string    `json:"name"`
	Email        *string   `json:"email,omitempty"`
	DisplayName  *string   `json:"display_name,omitempty"`
	Groups       *[]string `json:"groups,omitempty"` // in place of all that it had
	AddGroups    []string  `json:"add_groups,omitempty"`
	RemoveGroups []string  `json:"remove_groups,omitempty"`
}

// apply changes a.
func (c *UserChange) apply(a *auth.Account) {
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
