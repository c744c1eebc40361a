package sessions

import (
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/secret"
	"gatehouse/internal/value"
)

// Config is the part of the section session of the configuration that is the same for
// every store. The room config adds the choice of a store and the stores' own
// sections, so that this package knows none of them.
type Config struct {
	IdleTimeout    value.Duration `yaml:"idle_timeout"`    // after the last use; 0: none
	MaxAge         value.Duration `yaml:"max_age"`         // after the login, whatever the use; 0: none
	RememberMe     value.Duration `yaml:"remember_me"`     // after the login, if asked for; 0: not offered
	BrowserSession bool           `yaml:"browser_session"` // browsers forget the cookie when they close
	MaxPerUser     int            `yaml:"max_per_user"`    // 0: no limit
	DataLimit      value.Size     `yaml:"data_limit"`      // of session_data, in all sessions together; 0: no limit
	Activity       ActivityConfig `yaml:"activity"`
	Secrets        []secret.Text  `yaml:"secrets"` // the first signs, all verify; empty: the file secrets in data_dir
}

// SetDefaults fills in the defaults that are not zero.
func (c *Config) SetDefaults() {
	c.IdleTimeout = value.Duration(30 * time.Minute)
	c.MaxAge = value.Duration(12 * time.Hour)
}

// CookieConfig is the section cookie of the configuration.
type CookieConfig struct {
	Name     string `yaml:"name"`      // without the prefix __Host-
	Domain   string `yaml:"domain"`    // "": this host only
	SameSite string `yaml:"same_site"` // lax | strict | none
	Secure   string `yaml:"secure"`    // auto: where the client speaks https | true | false
}

// SetDefaults fills in the defaults that are not zero.
func (c *CookieConfig) SetDefaults() {
	c.Name, c.SameSite, c.Secure = "gatehouse", "lax", "auto"
}

// ASCIIDomain returns Domain as browsers take it, with A-labels for labels that are not
// ASCII (RFC 5890).
func (c *CookieConfig) ASCIIDomain() string {
	domain, err := httpfield.ASCIIHost(strings.TrimPrefix(c.Domain, "."))
	if err != nil || domain == strings.TrimPrefix(c.Domain, ".") {
		return c.Domain // Check says what is wrong with it
	}
	return domain
}

// Mode returns SameSite as net/http has it; Lax for what it does not know.
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
