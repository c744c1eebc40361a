package sessions

import (
	"fmt"
	"net/netip"
	"strings"

	"gatehouse/internal/problem"
)

// Check adds to report what is wrong with the section, and warnings of what is
// doubtful. It reads nothing but c. Keys in report are relative to the section.
func (c *Config) Check(report *problem.List) {
	c.checkTimes(report)
	if c.MaxPerUser < 0 {
		report.Errorf("max_per_user", "%d is negative; write 0 for no limit", c.MaxPerUser)
	}
	seen := map[string]int{}
	for i, s := range c.Secrets {
		key := fmt.Sprintf("secrets[%d]", i)
		text := s.Reveal()
		if what := weakSecret(text); what != "" {
			report.Errorf(key, "%s; write 32 random bytes or more, as `openssl rand -base64 32` prints them", what)
		}
		if first, ok := seen[text]; ok {
			report.Errorf(key, "is the same as secrets[%d]; remove one of them", first)
			continue
		}
		seen[text] = i
	}
}

// checkTimes looks at how long sessions live.
func (c *Config) checkTimes(report *problem.List) {
	idle, age := c.IdleTimeout, c.MaxAge
	switch {
	case idle < 0:
		report.Errorf("idle_timeout", "%s is negative; write 0 for none", idle)
	case age < 0:
		report.Errorf("max_age", "%s is negative; write 0 for none", age)
	case age == 0 && idle == 0:
		report.Errorf("max_age", "0 with idle_timeout 0: sessions would never end; write 12h, or an idle_timeout")
	case age > 0 && idle > age:
		report.Warnf("idle_timeout", "%s is longer than max_age %s, which ends the session first; write a shorter one, or 0", idle, age)
	case age == 0:
		report.Warnf("max_age", "0: a session that is used does not end, a stolen one neither; write 12h or 30d")
	}
	switch {
	case c.RememberMe < 0:
		report.Errorf("remember_me", "%s is negative; write 0 to not offer it", c.RememberMe)
	case c.RememberMe > 0 && age > 0 && c.RememberMe < age:
		report.Warnf("remember_me", "%s is shorter than max_age %s: who ticks the box is signed out earlier", c.RememberMe, age)
	}
}

// weakSecret returns what is wrong with a secret; "" if nothing is.
func weakSecret(s string) string {
	low := strings.ToLower(s)
	switch {
	case len(s) < secretMin:
		return fmt.Sprintf("has %d bytes, fewer than %d", len(s), secretMin)
	case period(s) <= len(s)/4:
		return "repeats a short pattern"
	}
	for _, word := range []string{"changeme", "change-me", "change_me", "change me", "example", "placeholder", "your-secret", "your_secret", "yoursecret", "password", "insecure", "0123456789abcdef", "abcdefghijklmnop"} {
		if strings.Contains(low, word) {
			return fmt.Sprintf("looks like an example (%q)", word)
		}
	}
	distinct := map[rune]bool{}
	for _, r := range s {
		distinct[r] = true
	}
	if len(distinct) < 8 {
		return fmt.Sprintf("has only %d different characters", len(distinct))
	}
	return ""
}

// period returns the length of the shortest pattern that s repeats.
func period(s string) int {
	for n := 1; n < len(s); n++ {
		if s[n:] == s[:len(s)-n] {
			return n
		}
	}
	return len(s)
}

// Check adds to report what is wrong with the section, and warnings of what is
// doubtful.
func (c *CookieConfig) Check(report *problem.List) {
	for _, prefix := range []string{hostPrefix, "__Secure-"} {
		if len(c.Name) >= len(prefix) && strings.EqualFold(c.Name[:len(prefix)], prefix) {
			report.Errorf("name", "%q begins with %s, which is added where it is allowed; write %q", c.Name, prefix, c.Name[len(prefix):])
			return
		}
	}
	if !validCookieName(c.Name) {
		report.Errorf("name", "%q is not the name of a cookie; write 1 to 64 letters, digits, - or _", c.Name)
	}
	switch c.SameSite {
	case "lax", "strict", "none":
	default:
		report.Errorf("same_site", "%q is not known; write lax, strict or none", c.SameSite)
	}
	switch c.Secure {
	case "auto", "true":
	case "false":
		if c.SameSite == "none" {
			report.Errorf("secure", "false with same_site none: browsers refuse such a cookie; write auto")
		} else {
			report.Warnf("secure", "false: the cookie travels over plain http as well, where anybody on the way can take it; write auto")
		}
	default:
		report.Errorf("secure", "%q is not known; write auto, true or false", c.Secure)
	}
	c.checkDomain(report)
}

// checkDomain looks at Domain (RFC 6265, 4.1.2.3).
func (c *CookieConfig) checkDomain(report *problem.List) {
	if c.Domain == "" {
		return
	}
	d := strings.TrimPrefix(c.ASCIIDomain(), ".")
	if _, err := netip.ParseAddr(d); err == nil {
		report.Errorf("domain", "%q is an address; leave it out, so that the cookie is this host's", c.Domain)
		return
	}
	switch {
	case strings.ContainsAny(d, ":/"):
		report.Errorf("domain", "%q is more than a name; write it without scheme, port and path", c.Domain)
	case !validDomain(d):
		report.Errorf("domain", "%q is not a domain; write one like example.com", c.Domain)
	case !strings.Contains(d, "."):
		report.Errorf("domain", "%q has no dot, and browsers refuse such a domain; leave it out, or write one like example.com", c.Domain)
	default:
		report.Warnf("domain", "%q: the cookie goes to every host of the domain, and each of them can plant one; leave it out where one host suffices", c.Domain)
	}
}

// validDomain reports whether d is made of labels as in a host name (RFC 1123).
func validDomain(d string) bool {
	if len(d) > 253 {
		return false
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			default:
				return false
			}
		}
	}
	return true
}
