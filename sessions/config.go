package sessions

import (
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/secret"
	"gatehouse/internal/value"
)

// Config is what the section session of the configuration says of sessions,
// wherever they are stored. Which store there is, and its own section, is for
// the program to add, so that this package knows none of them.
type Config struct {
	IdleTimeout    value.Duration `yaml:"idle_timeout"` // 0: none
	MaxAge         value.Duration `yaml:"max_age"`      // from login, whatever the use
	RememberMe     value.Duration `yaml:"remember_me"`  // 0: not offered
	BrowserSession bool           `yaml:"browser_session"`
	MaxPerUser     int            `yaml:"max_per_user"` // 0: no limit
	DataLimit      value.Size     `yaml:"data_limit"`   // of session_data, in all sessions together; 0: no limit
	Activity       ActivityConfig `yaml:"activity"`
	Secrets        []secret.Text  `yaml:"secrets"` // the first signs, all verify; empty: data_dir/secrets
}

// SetDefaults fills in what contract.md names as defaults.
func (c *Config) SetDefaults() {
	c.IdleTimeout = value.Duration(30 * time.Minute)
	c.MaxAge = value.Duration(12 * time.Hour)
}

// CookieConfig is the section cookie of the configuration.
type CookieConfig struct {
	Name     string `yaml:"name"`
	Domain   string `yaml:"domain"`
	SameSite string `yaml:"same_site"` // lax | strict | none
	Secure   string `yaml:"secure"`    // auto | true | false
}

// SetDefaults fills in what contract.md names as defaults.
func (c *CookieConfig) SetDefaults() {
	c.Name, c.SameSite, c.Secure = "gatehouse", "lax", "auto"
}

// ASCIIDomain is Domain as browsers take it, with A-labels for what is not ASCII.
func (c *CookieConfig) ASCIIDomain() string {
	domain, err := httpfield.ASCIIHost(strings.TrimPrefix(c.Domain, "."))
	if err != nil || domain == strings.TrimPrefix(c.Domain, ".") {
		return c.Domain // Check says what is wrong with it
	}
	return domain
}

// Mode gives SameSite as net/http names it.
func (c *CookieConfig) Mode() http.SameSite {
	switch c.SameSite {
	case "strict":
		return http.SameSiteStrictMode
	case "none":
		return http.SameSiteNoneMode
	default:
		return http.SameSiteLaxMode
	}
}
