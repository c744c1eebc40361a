package proxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
	"gatehouse/internal/suggest"
)

// IdentityConfig is the section identity: the headers by which an application learns
// who made a request. They are dropped from what clients send, on every route and in
// any spelling.
type IdentityConfig struct {
	// Headers maps the name of a header to what it carries: username, email,
	// display_name, groups (comma-separated), session_id (the public handle, with which
	// nobody can sign in) or auth_time (when the person signed in: RFC 3339, in UTC). A
	// header without a value is not sent. Default: X-Forwarded-User, -Email, -Groups and
	// -Preferred-Username; a map in the configuration replaces all of them.
	Headers map[string]string `yaml:"headers"`
}

// SetDefaults sets the default of Headers. It must be called before the section is
// decoded.
func (c *IdentityConfig) SetDefaults() {
	c.Headers = map[string]string{
		"X-Forwarded-User":               string(username),
		"X-Forwarded-Email":              string(email),
		"X-Forwarded-Groups":             string(groups),
		"X-Forwarded-Preferred-Username": string(displayName),
	}
}

// names returns the names of the headers, sorted; none for a nil section.
func (c *IdentityConfig) names() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.Headers))
}

// Check reports everything that is wrong with the section, under the keys
// headers.NAME.
func (c *IdentityConfig) Check(report *problem.List) {
	first := map[string]string{}
	for _, name := range c.names() {
		key := "headers." + name
		switch {
		case !httpfield.IsToken(name):
			report.Errorf(key, "%q is not a header's name; use letters, digits and -, as in X-Forwarded-User", name)
			continue
		case !mayCarry(name):
			report.Errorf(key, "%q has a meaning of its own in HTTP or here; choose another, such as X-Forwarded-User", name)
			continue
		}
		// Two spellings with one folded name are one header to applications such as
		// CGI.
		folded := httpfield.FoldName(name)
		if other, ok := first[folded]; ok {
			report.Errorf(key, "applications cannot tell %q from %q; remove one", name, other)
		}
		first[folded] = name
		if f := c.Headers[name]; !slices.Contains(identityClaims, claim(f)) {
			report.Errorf(key, "%q is not known%s; write one of username, email, display_name, groups, session_id, auth_time", f, didYouMean(f))
		}
	}
}

// mayCarry reports whether a header of this name may carry an identity. It may not
// if HTTP needs the name, if the gate makes the header from the client's
// connection, or if applications expect something else in it.
func mayCarry(name string) bool {
	name = httpfield.FoldName(name)
	if strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "Access-Control-") {
		return false
	}
	for _, list := range [][]string{hopFields, rebuilt, overrides, claims, methodOverrides, sessionData, {
		"Authorization", "Accept", "Accept-Encoding", "Accept-Language", "Age", "Cache-Control", "Content-Encoding", "Content-Language",
		"Content-Location", "Content-Range", "Content-Type", "Date", "Expect", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
		"If-Unmodified-Since", "Max-Forwards", "Origin", "Pragma", "Range", "Referer", "Server", "Set-Cookie", "User-Agent", "Vary", "Via",
		"Location", "Www-Authenticate", "Etag", "Expires", "Last-Modified", "Clear-Site-Data", "Service-Worker-Allowed",
	}} {
		if slices.Contains(list, name) {
			return false
		}
	}
	return true
}

// didYouMean returns a hint for an unknown claim, to append to the error message;
// "" if nothing is similar.
func didYouMean(s string) string {
	s = strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(s))
	for name, f := range map[string]claim{
		"user": username, "name": username, "login": username, "user_name": username, "uid": username, "mail": email, "e_mail": email,
		"fullname": displayName, "full_name": displayName, "displayname": displayName, "preferred_username": displayName,
		"group": groups, "roles": groups, "session": sessionID, "sid": sessionID, "time": authTime, "login_time": authTime,
	} {
		if s == name {
			return fmt.Sprintf("; did you mean %s?", f)
		}
	}
	// No known synonym: suggest the nearest spelling.
	known := make([]string, len(identityClaims))
	for i, f := range identityClaims {
		known[i] = string(f)
	}
	if near := suggest.Nearest(s, known); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}
