package portal

import (
	"html/template"
	"net/url"
	"strings"
	"unicode/utf8"

	"gatehouse/auth/account"
	"gatehouse/internal/problem"
	"gatehouse/internal/web"
)

// LinkConfig is an entry of login.links: a link at the foot of our pages.
type LinkConfig struct {
	Text string `yaml:"text"` // required
	URL  string `yaml:"url"`  // required: https://, http://, mailto: or a path of the site
}

// RouteLoginConfig is the section login of a route: what the login page shows to
// people who are on their way to the route. It affects nothing else.
type RouteLoginConfig struct {
	Title string `yaml:"title"` // 1 to 100 characters; "": that of LoginConfig
	Logo  string `yaml:"logo"`  // a file; "": that of LoginConfig

	LogoURL template.URL `yaml:"-"` // a data URL of Logo; set by the code that loads the configuration
}

// Check reports every mistake under the key within the section. It does not read
// the logo.
func (c *RouteLoginConfig) Check(report *problem.List) {
	if c.Title != "" {
		checkLine(report, "title", c.Title, 100)
	}
}

// Face returns the branding that the section gives to all our pages. Check must
// have accepted the section; an invalid accent colour is ignored.
func (c *LoginConfig) Face() web.Branding {
	f := web.Branding{Logo: c.LogoURL, Message: c.Message}
	f.Accent, _ = web.ParseColor(c.Accent) // validated by Check; "" is the zero value
	for _, l := range c.Links {
		f.Links = append(f.Links, web.Link{Text: l.Text, URL: l.URL})
	}
	return f
}

// CheckTemplate returns an error if html does not work as the template of the
// login page: it does not parse, or fails with the data of LoginPage. The error
// names the line if it is known. New makes the same check.
func CheckTemplate(html string) error {
	_, err := newLoginPage(html, web.Branding{})
	return err
}

// checkFace checks the keys that Face uses.
func (c *LoginConfig) checkFace(report *problem.List) {
	if c.Message != "" {
		checkLine(report, "message", c.Message, 500)
	}
	if _, err := web.ParseColor(c.Accent); err != nil && c.Accent != "" {
		report.Errorf("accent", `%v; write six digits, such as "#0a7f5a", in quotes (# begins a comment)`, err)
	}
	if len(c.Links) > 10 {
		report.Errorf("links", "has %d links; write 10 at most", len(c.Links))
	}
}

// Check reports every mistake under the key within the link. A URL must be http,
// https, mailto or an absolute path of the site, and must not contain a user name.
func (c *LinkConfig) Check(report *problem.List) {
	checkLine(report, "text", c.Text, 60)
	if c.URL == "" {
		report.Errorf("url", "is missing; write https://, mailto: or a path of the site")
		return
	}
	u, err := url.Parse(c.URL)
	ok := err == nil && !account.HasControl(c.URL) && !strings.Contains(c.URL, `\`)
	switch {
	case !ok:
	case u.Scheme == "https" || u.Scheme == "http":
		if u.User != nil {
			report.Errorf("url", "holds a user name, which everybody would read; remove what stands before the @")
			return
		}
		ok = u.Host != ""
	case u.Scheme == "mailto":
		ok = strings.Contains(u.Opaque, "@")
	case u.Scheme == "":
		ok = strings.HasPrefix(c.URL, "/") && u.Host == ""
	default:
		ok = false
	}
	if !ok {
		report.Errorf("url", "%q is no place to go to; write https://, mailto: or a path of the site, such as /help", c.URL)
	}
}

// checkLine reports a text that has no characters or more than most, or that
// cannot be shown on one line of a page.
func checkLine(report *problem.List, key, text string, most int) {
	switch n := utf8.RuneCountInString(text); {
	case n == 0 || n > most:
		report.Errorf(key, "has %d characters; write 1 to %d", n, most)
	case !utf8.ValidString(text) || account.HasControl(text):
		report.Errorf(key, "%q has control characters; write plain text", text)
	}
}
