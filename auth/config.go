package auth

import (
	"time"

	"gatehouse/internal/value"
)

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
	c.Title = "Sign in"
	c.Throttle.PerAccount = value.Rate{Count: 10, Per: 15 * time.Minute}
	c.Throttle.PerNetwork = value.Rate{Count: 100, Per: 15 * time.Minute}
}

// A Throttle counts wrong passwords, in bounded memory. There is one in a
// process; Limits changes its rates at a reload.
type Throttle struct{}

// NewThrottle makes an empty one.
func NewThrottle(c ThrottleConfig) *Throttle { panic("being built") }

// Limits replaces the rates; what was counted stays.
func (t *Throttle) Limits(c ThrottleConfig) { panic("being built") }
