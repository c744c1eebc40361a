package throttle

import (
	"time"

	"gatehouse/internal/problem"
	"gatehouse/internal/value"
)

// Config limits wrong passwords; see Throttle for what is counted.
type Config struct {
	// PerAccount limits the attempts for one account from one address (IPv4, IPv6
	// /64) or IPv6 /48, and separately from each device that has signed in to it
	// before; five times as many are allowed for the account in all. Default
	// 10/15m; 0: no limit.
	PerAccount value.Rate `yaml:"per_account"`
	// PerNetwork limits the attempts for all accounts from one address (IPv4, IPv6
	// /64); four times as many are allowed from the /24 or /48 around it. Devices
	// that have signed in to an account before are exempt. Default 100/15m; 0: no
	// limit.
	PerNetwork value.Rate `yaml:"per_network"`
}

// SetDefaults sets both rates to their defaults. It is called before the
// configuration is decoded into c.
func (c *Config) SetDefaults() {
	c.PerAccount = value.Rate{Count: 10, Per: 15 * time.Minute}
	c.PerNetwork = value.Rate{Count: 100, Per: 15 * time.Minute}
}

// Check reports every mistake as an error and every risk as a warning, with its
// remedy, under the key within the section.
func (c *Config) Check(report *problem.List) {
	for _, r := range []struct {
		key string
		value.Rate
		most int
	}{
		// NIST SP 800-63B-4, 3.2.2: at most 100 wrong tries in a row for an account.
		{"per_account", c.PerAccount, 100},
		{"per_network", c.PerNetwork, 10_000},
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
