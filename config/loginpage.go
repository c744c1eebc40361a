package config

import (
	"bytes"
	"errors"
	"html/template"
	"regexp"
	"strings"

	"gatehouse/auth/portal"
	"gatehouse/internal/web"
)

// checkLoginPage reads the files of the sign-in page, logos and the template, and
// keeps their content in c.
func (c *Config) checkLoginPage(x *crossCheck) {
	c.Login.LogoURL = readLogo(x, "login.logo", c.Login.Logo)
	for i := range c.Routes {
		login := &c.Routes[i].Login
		login.LogoURL = readLogo(x, index("routes", i)+".login.logo", login.Logo)
	}
	if c.Login.Template != "" {
		c.LoginHTML = readTemplate(x, c.Login.Template)
	}
}

// readLogo returns the image in the file as a data URL; "" if no file is named or
// the file cannot be used, which it reports.
func readLogo(x *crossCheck, key, file string) template.URL {
	if file == "" {
		return ""
	}
	data, _, err := readSmall(under(x.dir, file), MaxFile)
	if err != nil {
		x.Errorf(key, "%v", err)
		return ""
	}
	logo, err := web.ReadLogo(data)
	if err != nil {
		x.Errorf(key, "the file %s %v", quote(file), err)
	}
	return logo
}

// readTemplate returns the text of the template; "" if it cannot be used, which
// it reports.
func readTemplate(x *crossCheck, file string) string {
	const key = "login.template"
	text, _, err := readSmall(under(x.dir, file), MaxFile)
	switch {
	case err != nil:
		x.Errorf(key, "%v", err)
		return ""
	case len(bytes.TrimSpace(text)) == 0:
		x.Errorf(key, "the file %s is empty; copy login.html and change it", quote(file))
		return ""
	}
	if err := portal.CheckTemplate(string(text)); err != nil {
		line, what := whereInTemplate(err)
		x.Errorf(key, "the file %s%s: %s; docs/login-page.md says what there is", quote(file), line, what)
		return ""
	}
	return string(text)
}

// inTemplate matches how html/template begins an error about a line of the
// template.
var inTemplate = regexp.MustCompile(`(?s)^(?:html/)?template: ?login\.html:(\d+)(?::\d+)?: (?:executing "[^"]*" at )?(.*)$`)

// whereInTemplate splits an error of html/template into the line and the rest.
// line is "" if the error names none.
func whereInTemplate(err error) (line, what string) {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		if m := inTemplate.FindStringSubmatch(inner.Error()); m != nil {
			return ", line " + m[1], strings.TrimSuffix(m[2], ".")
		}
		err = inner
	}
	return "", err.Error()
}
