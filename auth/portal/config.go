package portal

import (
	"html/template"

	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/auth/throttle"
	"gatehouse/internal/problem"
)

// The bounds of password_min, in characters. NIST SP 800-63B-4, 3.1.1.2, requires at
// least 8, and that passwords of 64 are possible.
const (
	leastPasswordMin = 8
	mostPasswordMin  = 64
)

// defaultTitle is the default of title. Unlike an operator's title, it is
// translated into the visitor's language.
const defaultTitle = "Sign in"

// LoginConfig is the section login of the configuration.
type LoginConfig struct {
	Title    string                 `yaml:"title"`
	Logo     string                 `yaml:"logo"`     // a file: SVG, PNG, JPEG or WebP; "": our gate
	Message  string                 `yaml:"message"`  // a sentence on the login page
	Accent   string                 `yaml:"accent"`   // a colour, #rrggbb; "": ours
	Links    []LinkConfig           `yaml:"links"`    // at the foot of each page of ours
	Template string                 `yaml:"template"` // a file in place of login.html
	Throttle throttle.Config        `yaml:"throttle"`
	Username account.UsernameConfig `yaml:"username"`
	// PasswordMin is how many characters a new password has at least, where we
	// set it. Default 15 (password.DefaultMinLength).
	PasswordMin int `yaml:"password_min"`

	LogoURL template.URL `yaml:"-"` // the file of Logo, read by whoever reads the configuration
}

// SetDefaults sets the defaults that contract.md names. It is called before the
// configuration is decoded into c.
func (c *LoginConfig) SetDefaults() {
	c.Title = defaultTitle
	c.PasswordMin = password.DefaultMinLength
	c.Throttle.SetDefaults()
}

// Check reports every mistake as an error and every risk as a warning, with its
// remedy, under the key within the section. It reads no files; for the template see
// CheckTemplate. Links are checked by LinkConfig.Check.
func (c *LoginConfig) Check(report *problem.List) {
	checkLine(report, "title", c.Title, 100)
	c.checkFace(report)
	switch n := c.PasswordMin; {
	case n < leastPasswordMin || n > mostPasswordMin:
		report.Errorf("password_min", "%d is not a number of characters from %d to %d; write %d", n, leastPasswordMin, mostPasswordMin, password.DefaultMinLength)
	case n < password.DefaultMinLength:
		report.Warnf("password_min", "%d characters are few where a password is all that is asked for; write %d", n, password.DefaultMinLength)
	}
	c.Throttle.Check(report.In("throttle"))
}
