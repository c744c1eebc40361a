package auth

import (
	"html/template"
	"time"

	"gatehouse/internal/problem"
	"gatehouse/internal/value"
)

// The bounds of password_min: NIST SP 800-63B-4, 3.1.1.2, wants 8 at least, and
// that 64 are possible.
const (
	leastPasswordMin = 8
	mostPasswordMin  = 64
)

// defaultTitle is said in the visitor's language.
const defaultTitle = "Sign in"

// LoginConfig is the section login of the configuration.
type LoginConfig struct {
	Title    string         `yaml:"title"`
	Logo     string         `yaml:"logo"`     // a file: SVG, PNG, JPEG or WebP; "": our gate
	Message  string         `yaml:"message"`  // a sentence on the login page
	Accent   string         `yaml:"accent"`   // a colour, #rrggbb; "": ours
	Links    []LinkConfig   `yaml:"links"`    // at the foot of each page of ours
	Template string         `yaml:"template"` // a file in place of login.html
	Throttle ThrottleConfig `yaml:"throttle"`
	Username UsernameConfig `yaml:"username"`
	// PasswordMin is how many characters a new password has at least, where we
	// set it. Default 15 (DefaultPasswordMin).
	PasswordMin int `yaml:"password_min"`

	LogoURL template.URL `yaml:"-"` // the file of Logo, read by whoever reads the configuration
}

// ThrottleConfig limits wrong passwords; see Throttle for what is counted.
type ThrottleConfig struct {
	// PerAccount: for one account from one address (IPv4, IPv6 /64) or IPv6
	// /48; for each device that has signed in to it before, by itself; five
	// times that for the account from everywhere. Default 10/15m.
	PerAccount value.Rate `yaml:"per_account"`
	// PerNetwork: for all accounts from one address (IPv4, IPv6 /64), and four
	// times that from the /24 or /48 around it. Devices that have signed in to
	// an account before are exempt. Default 100/15m.
	PerNetwork value.Rate `yaml:"per_network"`
}

// SetDefaults fills in what contract.md names as defaults.
func (c *LoginConfig) SetDefaults() {
	c.Title = defaultTitle
	c.PasswordMin = DefaultPasswordMin
	c.Throttle.PerAccount = value.Rate{Count: 10, Per: 15 * time.Minute}
	c.Throttle.PerNetwork = value.Rate{Count: 100, Per: 15 * time.Minute}
}

// Check tells bad of each mistake and warn of each danger, by the key within
// the section and the remedy. The template's text is checked by New.
func (c *LoginConfig) Check(report *problem.List) {
	checkLine(report, "title", c.Title, 100)
	c.checkFace(report)
	switch n := c.PasswordMin; {
	case n < leastPasswordMin || n > mostPasswordMin:
		report.Errorf("password_min", "%d is not a number of characters from %d to %d; write %d", n, leastPasswordMin, mostPasswordMin, DefaultPasswordMin)
	case n < DefaultPasswordMin:
		report.Warnf("password_min", "%d characters are few where a password is all that is asked for; write %d", n, DefaultPasswordMin)
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
			report.Warnf(r.key, "0 does not limit wrong passwords at all; write 10/15m")
		case r.Per > 24*time.Hour:
			report.Errorf(r.key, "%s lets wrong tries lock people out for more than a day; write a time up to 24h", r.Rate)
		case r.Count > r.most:
			report.Warnf(r.key, "%s lets a guesser try very often; write at most %d", r.Rate, r.most)
		}
	}
}
