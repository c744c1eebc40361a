package portal

import (
	"html/template"
	"net/netip"
	"strings"

	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/auth/throttle"
	"gatehouse/internal/httpfield"
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

// The values of logout.
const (
	logoutAll  = "all"
	logoutHost = "host"
)

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
	// Host is the login host: the one host on which people sign in, a name that no
	// route has. "": our pages stand on each application's host, the default.
	Host string `yaml:"host"`
	// Logout is what signing out on an application's host ends, with Host: all (the
	// session, on every host, the default) or host (that host alone).
	Logout string `yaml:"logout"`

	LogoURL template.URL `yaml:"-"` // the file of Logo, read by whoever reads the configuration
}

// SetDefaults sets the defaults that contract.md names. It is called before the
// configuration is decoded into c.
func (c *LoginConfig) SetDefaults() {
	c.Title = defaultTitle
	c.Logout = logoutAll
	c.PasswordMin = password.DefaultMinLength
	c.Throttle.SetDefaults()
}

// Check reports every mistake as an error and every risk as a warning, with its
// remedy, under the key within the section. It reads no files; for the template see
// CheckTemplate. Links are checked by LinkConfig.Check.
func (c *LoginConfig) Check(report *problem.List) {
	checkLine(report, "title", c.Title, 100)
	c.checkFace(report)
	c.checkHost(report)
	c.checkLogout(report)
	switch n := c.PasswordMin; {
	case n < leastPasswordMin || n > mostPasswordMin:
		report.Errorf("password_min", "%d is not a number of characters from %d to %d; write %d", n, leastPasswordMin, mostPasswordMin, password.DefaultMinLength)
	case n < password.DefaultMinLength:
		report.Warnf("password_min", "%d characters are few where a password is all that is asked for; write %d", n, password.DefaultMinLength)
	}
	c.Throttle.Check(report.In("throttle"))
}

// ASCIIHost returns Host as httpfield.Host.Name has it: as browsers send it, in lower
// case, without a dot at the end. It returns Host unchanged if it is malformed, which
// Check reports.
func (c *LoginConfig) ASCIIHost() string {
	ascii, err := httpfield.ASCIIHost(strings.ToLower(c.Host))
	if err != nil {
		return c.Host
	}
	host, err := httpfield.ParseHost(ascii, "")
	if err != nil {
		return c.Host
	}
	return host.Name
}

// checkHost checks host: empty, or a name that browsers take for no address.
func (c *LoginConfig) checkHost(report *problem.List) {
	if c.Host == "" {
		return
	}
	host := c.ASCIIHost()
	switch _, err := httpfield.ParseHost(host, ""); {
	case isAddress(host):
		report.Errorf("host", "%q is an address; write a name, such as gate.example.com", c.Host)
	case strings.ContainsAny(c.Host, ":/"):
		report.Errorf("host", "%q is more than a name; write it without scheme, port and path", c.Host)
	case strings.Contains(c.Host, "*"):
		report.Errorf("host", "%q stands for several hosts; write the one on which people sign in, such as gate.example.com", c.Host)
	case err != nil:
		report.Errorf("host", "%q is not a host name; write one like gate.example.com", c.Host)
	case !strings.Contains(host, ".") && host != "localhost":
		report.Errorf("host", "%q has no dot; write the whole name, such as gate.example.com", c.Host)
	}
}

// isAddress reports whether browsers take the host for an IP address: IPv6, with or
// without brackets, or any name whose last label is a number (WHATWG URL, "ends in a
// number"), such as 127.1 or 10.0.0.0x1.
func isAddress(host string) bool {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// checkLogout checks logout: one of its two words, of which host needs a login host.
func (c *LoginConfig) checkLogout(report *problem.List) {
	switch c.Logout {
	case logoutAll:
	case logoutHost:
		if c.Host == "" {
			report.Errorf("logout", "host is not used without login.host, where our pages stand on each host anyway; remove it, or write login.host")
		}
	default:
		report.Errorf("logout", "%q is not known; write all or host", c.Logout)
	}
}
