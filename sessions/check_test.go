package sessions

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/value"
)

// problems notes what a Check reports: "key: text", with "warn " in front of
// a warning.
func problems(check func(*problem.List)) (all []string) {
	var found problem.List
	check(&found)
	for _, p := range found.Errors {
		all = append(all, p.String())
	}
	for _, p := range found.Warnings {
		all = append(all, "warn "+p.String())
	}
	return all
}

func wantProblem(t *testing.T, all []string, want string) {
	t.Helper()
	key, text, _ := strings.Cut(want, ": ")
	if want == "" && len(all) == 0 {
		return
	}
	for _, p := range all {
		if want != "" && strings.HasPrefix(p, key+": ") && strings.Contains(p, text) {
			return
		}
	}
	t.Errorf("problems %q, want %q", all, want)
}

const goodSecret = "k3Jx9+Qv2mW8zR5tYb7NcD4fGhLpSaUe1oEiX6w0HqM=" //nolint:gosec // of this test

func TestConfigCheck(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *Config)
		want   string // the beginning: "key: part of the text"
	}{
		{"defaults", func(*Config) {}, ""},
		{"idle over age", func(c *Config) { c.IdleTimeout = value.Duration(13 * time.Hour) }, "warn idle_timeout: longer than max_age 12h"},
		{"no idle", func(c *Config) { c.IdleTimeout = 0 }, ""},
		{"no age", func(c *Config) { c.MaxAge = 0 }, "warn max_age: a stolen one neither"},
		{"neither", func(c *Config) { c.MaxAge, c.IdleTimeout = 0, 0 }, "max_age: sessions would never end; write 12h"},
		{"negative idle", func(c *Config) { c.IdleTimeout = -1 }, "idle_timeout: negative"},
		{"negative age", func(c *Config) { c.MaxAge = -1 }, "max_age: negative"},
		{"negative remember", func(c *Config) { c.RememberMe = -1 }, "remember_me: negative"},
		{"short remember", func(c *Config) { c.RememberMe = value.Duration(time.Hour) }, "warn remember_me: shorter than max_age 12h"},
		{"remember", func(c *Config) { c.RememberMe = value.Duration(30 * 24 * time.Hour) }, ""},
		{"negative number", func(c *Config) { c.MaxPerUser = -1 }, "max_per_user: negative"},
		{"secret", func(c *Config) { c.Secrets = secrets(goodSecret) }, ""},
		{"two secrets", func(c *Config) { c.Secrets = secrets(goodSecret, "x"+goodSecret) }, ""},
		{"short", func(c *Config) { c.Secrets = secrets(goodSecret, "abc") }, "secrets[1]: has 3 bytes, fewer than 32; write 32 random bytes"},
		{"empty", func(c *Config) { c.Secrets = secrets("") }, "secrets[0]: has 0 bytes"},
		{"31 bytes", func(c *Config) { c.Secrets = secrets(goodSecret[:31]) }, "secrets[0]: has 31 bytes"},
		{"32 bytes", func(c *Config) { c.Secrets = secrets(goodSecret[:32]) }, ""},
		{"one character", func(c *Config) { c.Secrets = secrets(strings.Repeat("a", 40)) }, "secrets[0]: repeats a short pattern"},
		{"a pattern", func(c *Config) { c.Secrets = secrets(strings.Repeat("xK2!9q", 8)) }, "secrets[0]: repeats a short pattern"},
		{"the example", func(c *Config) { c.Secrets = secrets("changeme-changeme-changeme-changeme") }, "secrets[0]: looks like an example"},
		{"an example", func(c *Config) { c.Secrets = secrets("please-CHANGE-ME-before-you-start-1234567") }, "secrets[0]: looks like an example"},
		{"few characters", func(c *Config) { c.Secrets = secrets("abacbcabcbacbabcabcbabacbabcabcacba") }, "secrets[0]: only 3 different characters"},
		{"twice", func(c *Config) { c.Secrets = secrets(goodSecret, goodSecret) }, "secrets[1]: the same as secrets[0]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c Config
			c.SetDefaults()
			test.change(&c)
			got := problems(c.Check)
			wantProblem(t, got, test.want)
			for _, p := range got {
				if strings.Contains(p, goodSecret[:20]) {
					t.Errorf("a secret is shown: %s", p)
				}
			}
		})
	}
}

func secrets(texts ...string) (all []secret.Text) {
	for _, s := range texts {
		all = append(all, secret.New(s))
	}
	return all
}

func TestCookieConfigCheck(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *CookieConfig)
		want   string
	}{
		{"defaults", func(*CookieConfig) {}, ""},
		{"prefix", func(c *CookieConfig) { c.Name, c.Secure = "__Host-s", "false" }, `name: begins with __Host-, which is added where it is allowed; write "s"`},
		{"prefix in lower case", func(c *CookieConfig) { c.Name = "__host-s" }, "name: begins with __Host-"},
		{"secure prefix", func(c *CookieConfig) { c.Name = "__Secure-s" }, "name: begins with __Secure-"},
		{"empty name", func(c *CookieConfig) { c.Name = "" }, "name: not the name of a cookie"},
		{"space", func(c *CookieConfig) { c.Name = "a b" }, "name: not the name of a cookie"},
		{"equals", func(c *CookieConfig) { c.Name = "a=b" }, "name: not the name of a cookie"},
		{"semicolon", func(c *CookieConfig) { c.Name = "a;b" }, "name: not the name of a cookie"},
		{"not ASCII", func(c *CookieConfig) { c.Name = "süß" }, "name: not the name of a cookie"},
		{"64 bytes", func(c *CookieConfig) { c.Name = strings.Repeat("a", 64) }, ""},
		{"65 bytes", func(c *CookieConfig) { c.Name = strings.Repeat("a", 65) }, "name: not the name of a cookie"},
		{"strict", func(c *CookieConfig) { c.SameSite = "strict" }, ""},
		{"unknown same_site", func(c *CookieConfig) { c.SameSite = "Lax" }, `same_site: "Lax" is not known; write lax, strict or none`},
		{"none", func(c *CookieConfig) { c.SameSite = "none" }, ""},
		{"none without secure", func(c *CookieConfig) { c.SameSite, c.Secure = "none", "false" }, "secure: false with same_site none"},
		{"not secure", func(c *CookieConfig) { c.Secure = "false" }, "warn secure: anybody on the way can take it"},
		{"unknown secure", func(c *CookieConfig) { c.Secure = "yes" }, `secure: "yes" is not known`},
		{"domain", func(c *CookieConfig) { c.Domain = "example.com" }, "warn domain: every host of the domain"},
		{"a domain that is not ASCII", func(c *CookieConfig) { c.Domain = ".bücher.example" }, "warn domain: every host"},
		{"no internationalized domain", func(c *CookieConfig) { c.Domain = "bücher_1.example" }, "domain: not a domain"},
		{"domain with a dot", func(c *CookieConfig) { c.Domain = ".example.com" }, "warn domain: every host"},
		{"address", func(c *CookieConfig) { c.Domain = "192.0.2.1" }, "domain: is an address"},
		{"one label", func(c *CookieConfig) { c.Domain = "localhost" }, "domain: has no dot"},
		{"a URL", func(c *CookieConfig) { c.Domain = "https://example.com" }, "domain: more than a name"},
		{"a port", func(c *CookieConfig) { c.Domain = "example.com:443" }, "domain: more than a name"},
		{"an attribute", func(c *CookieConfig) { c.Domain = "example.com; Secure" }, "domain: not a domain"},
		{"an empty label", func(c *CookieConfig) { c.Domain = "example..com" }, "domain: not a domain"},
		{"a hyphen at the end", func(c *CookieConfig) { c.Domain = "example-.com" }, "domain: not a domain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c CookieConfig
			c.SetDefaults()
			test.change(&c)
			wantProblem(t, problems(c.Check), test.want)
		})
	}
}

func TestMode(t *testing.T) {
	for text, want := range map[string]http.SameSite{
		"lax": http.SameSiteLaxMode, "strict": http.SameSiteStrictMode, "none": http.SameSiteNoneMode, "": http.SameSiteLaxMode,
	} {
		if got := (&CookieConfig{SameSite: text}).Mode(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
