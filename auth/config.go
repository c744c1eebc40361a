package auth

import (
	"time"
	"unicode/utf8"

	"gatehouse/internal/value"
)

// defaultTitle is said in the visitor's language.
const defaultTitle = "Sign in"

// LoginConfig is the section login of the configuration.
type LoginConfig struct {
	Title    string         `yaml:"title"`
	Template string         `yaml:"template"` // a file in place of login.html; relative to the configuration's folder
	Throttle ThrottleConfig `yaml:"throttle"`
}

// ThrottleConfig limits wrong passwords.
type ThrottleConfig struct {
	// PerAccount: for one account from one network; ten times that for the
	// account from all networks together, from which devices that have
	// signed in to it before are exempt. So nobody can be locked out for good.
	PerAccount value.Rate `yaml:"per_account"`
	PerNetwork value.Rate `yaml:"per_network"` // for all accounts from one network (IPv4 address, IPv6 /64)
}

// SetDefaults fills in what contract.md names as defaults.
func (c *LoginConfig) SetDefaults() {
	c.Title = defaultTitle
	c.Throttle.PerAccount = value.Rate{Count: 10, Per: 15 * time.Minute}
	c.Throttle.PerNetwork = value.Rate{Count: 100, Per: 15 * time.Minute}
}

// Check tells bad of each mistake and warn of each danger, by the key within
// the section and the remedy. The template's text is checked by New.
func (c *LoginConfig) Check(bad, warn func(key, format string, args ...any)) {
	switch {
	case c.Title == "" || utf8.RuneCountInString(c.Title) > 100:
		bad("title", "has %d characters; write 1 to 100", utf8.RuneCountInString(c.Title))
	case !utf8.ValidString(c.Title) || firstControl(c.Title) != 0:
		bad("title", "%q has control characters; write plain text", c.Title)
	}
	for _, r := range []struct {
		key string
		value.Rate
		most int
	}{
		// NIST SP 800-63B-4, 3.2.2: at most 100 wrong tries in a row for an account.
		{"throttle.per_account", c.Throttle.PerAccount, 100},
		{"throttle.per_network", c.Throttle.PerNetwork, 10_000},
	} {
		switch {
		case r.Count == 0:
			warn(r.key, "0 does not limit wrong passwords at all; write 10/15m")
		case r.Per > 24*time.Hour:
			bad(r.key, "%s lets wrong tries lock people out for more than a day; write a time up to 24h", r.Rate)
		case r.Count > r.most:
			warn(r.key, "%s lets a guesser try very often; write at most %d", r.Rate, r.most)
		}
	}
}
