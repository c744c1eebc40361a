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

// LinkConfig is one of login.links.
type LinkConfig struct {
	Text string `yaml:"text"` // required
	URL  string `yaml:"url"`  // required: https://, http://, mailto: or a path of the site
}

// RouteLoginConfig is the section login of a route: what the login page shows
// to who is on the way there. Nothing else depends on it.
type RouteLoginConfig struct {
	Title string `yaml:"title"` // "": the general one
	Logo  string `yaml:"logo"`  // a file; "": the general one

	LogoURL template.URL `yaml:"-"` // the file, read by whoever reads the configuration
}

// Check tells bad of each mistake, by the key within the section.
func (c *RouteLoginConfig) Check(report *problem.List) {
	if c.Title != "" {
		checkLine(report, "title", c.Title, 100)
	}
}

// Face is what the section says of our pages.
func (c *LoginConfig) Face() web.Branding {
	f := web.Branding{Logo: c.LogoURL, Message: c.Message}
	f.Accent, _ = web.ParseColor(c.Accent) // Check has read it; none is the zero value
	for _, l := range c.Links {
		f.Links = append(f.Links, web.Link{Text: l.Text, URL: l.URL})
	}
	return f
}

// CheckTemplate says what is wrong with the text of a login page: the error
// names its line where there is one.
func CheckTemplate(html string) error {
	_, err := newLoginPage(html, web.Branding{})
	return err
}

// checkFace checks what Face reads.
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

// Check tells bad of each mistake, by the key within the link.
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

// checkLine refuses what cannot stand on one line of a page.
func checkLine(report *problem.List, key, text string, most int) {
	switch n := utf8.RuneCountInString(text); {
	case n == 0 || n > most:
		report.Errorf(key, "has %d characters; write 1 to %d", n, most)
	case !utf8.ValidString(text) || account.HasControl(text):
		report.Errorf(key, "%q has control characters; write plain text", text)
	}
}
