//go:build e2e

package django_test

import (
	"net/url"
	"slices"
	"strings"
)

// A flowRule is a place where Gatehouse answers otherwise than Django, on
// purpose. docs/sessions.md gives the reason under its name, and says which
// of Django's rows it belongs to.
type flowRule struct {
	name string
	// ours gives what Gatehouse answers where Django has want; ok says that the
	// rule has something to say.
	ours func(c *flowCheck) (want string, ok bool)
}

// A flowCheck is one check of a row.
type flowCheck struct {
	f                *flow
	step, name, want string
	page             string // method and path, in Django's names
	got              seen
}

func (c *flowCheck) logsIn() bool  { return strings.HasPrefix(c.page, "POST /login/") }
func (c *flowCheck) logsOut() bool { return strings.HasPrefix(c.page, "POST /logout/") }
func (c *flowCheck) is(name string, want ...string) bool {
	return c.name == name && (len(want) == 0 || slices.Contains(want, c.want))
}

func (c *flowCheck) setting(name string) bool { _, ok := c.f.row.settings[name]; return ok }

// flowRules are asked in order; the first that has something to say decides.
var flowRules = []flowRule{
	{"redirect-after-post", func(c *flowCheck) (string, bool) {
		return "303", strings.HasPrefix(c.page, "POST ") && c.is("status", "302")
	}},
	{"login-401", func(c *flowCheck) (string, bool) {
		return "401", c.logsIn() && c.is("status", "200")
	}},
	{"error-text", func(c *flowCheck) (string, bool) {
		return `role="alert"`, c.is("has", "error", "errorlist")
	}},
	{"logout-redirects", func(c *flowCheck) (string, bool) {
		return "303", c.logsOut() && c.is("status", "200")
	}},
	{"logout-asks", func(c *flowCheck) (string, bool) {
		return "200", strings.HasPrefix(c.page, "GET /logout/") && c.is("status", "405")
	}},
	{"after-logout", func(c *flowCheck) (string, bool) {
		fixed := strings.HasPrefix(c.want, "/logout/") || c.setting("LOGOUT_REDIRECT_URL") && c.want == settingOf[string](c.f.row.settings, "LOGOUT_REDIRECT_URL")
		return "/_gate/login", c.logsOut() && c.is("location") && (fixed || !ownPlace(c.want))
	}},
	{"front-page", func(c *flowCheck) (string, bool) {
		fixed := c.want == "/whoami" || c.setting("LOGIN_REDIRECT_URL") && c.want == settingOf[string](c.f.row.settings, "LOGIN_REDIRECT_URL")
		login := c.logsIn() || strings.HasPrefix(c.page, "GET /login/redirecting/?")
		return "/", login && c.is("location") && fixed
	}},
	{"own-host-only", func(c *flowCheck) (string, bool) {
		return "/", c.logsIn() && c.is("location") && !ownPlace(c.want)
	}},
	{"login-page", func(c *flowCheck) (string, bool) {
		if !strings.HasPrefix(c.page, "GET /login/redirecting/") || strings.Contains(c.page, "?") || c.got.keys[0] == "" {
			return "", false
		}
		switch c.name {
		case "status":
			return "200", true
		case "location":
			return "", true
		}
		return "", false
	}},
	{"login-page", func(c *flowCheck) (string, bool) { // with next, who is signed in goes on
		return "302", strings.HasPrefix(c.page, "GET /login/?") && c.got.keys[0] != "" && c.is("status", "200")
	}},
	{"own-login-page", func(c *flowCheck) (string, bool) {
		_, target, _ := strings.Cut(c.page, " ")
		return "/_gate/login?next=" + strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(target), "%2F", "/"), "+", "%20"), c.setting("LOGIN_URL") && c.is("location")
	}},
	{"password-done", func(c *flowCheck) (string, bool) {
		return "/_gate/", strings.HasPrefix(c.page, "POST /password/") && c.is("location", "/whoami")
	}},
	{"public-untouched", func(c *flowCheck) (string, bool) {
		if _, gate := c.f.site.(*flowGate); !gate || !strings.HasPrefix(c.page, "GET /public") {
			return "", false
		}
		switch c.name {
		case "cookie":
			return "none", c.want == "del"
		case "key":
			return "same", c.want == "none"
		}
		return "no", c.name == "vary"
	}},
	{"cut-with-the-session", func(c *flowCheck) (string, bool) {
		slow := strings.HasSuffix(c.step, " JOIN") && c.page == "GET /slow?s=1" && c.f.since(" LOGOUT") > c.f.since(" START ")
		return "302", slow && c.is("status", "200")
	}},
	{"new-id-at-login", func(c *flowCheck) (string, bool) {
		return "new", c.logsIn() && c.is("key", "same")
	}},
	{"race", func(c *flowCheck) (string, bool) {
		return "200", strings.HasSuffix(c.step, " JOIN") && c.is("status", "400")
	}},
	{"merge", func(c *flowCheck) (string, bool) {
		return "2", strings.HasPrefix(c.f.row.id, "race-lost-update") && c.page == "GET /session/read?k=y" && c.is("result", "null")
	}},
	{"httponly", func(c *flowCheck) (string, bool) {
		return "yes", c.is("httponly", "no")
	}},
	{"samesite-always", func(c *flowCheck) (string, bool) {
		return "Lax", c.is("samesite", "-", "none") && c.got.cookie != nil
	}},
	{"uses-are-recorded", func(c *flowCheck) (string, bool) {
		if settingOf[bool](c.f.row.settings, "SESSION_SAVE_EVERY_REQUEST") && !strings.Contains(c.page, "/session/write") {
			switch {
			case c.is("cookie", "set"):
				return "none", true
			case c.is("vary") && strings.HasPrefix(c.page, "GET /public"):
				return "no", true
			}
		}
		return "", false
	}},
	{"cookie-outlives-idle", func(c *flowCheck) (string, bool) {
		return "34560000", c.f.since(" LOGIN ") >= 0 && c.is("maxage") && c.want != "none" && c.want != "0"
	}},
	{"domain-without-dot", func(c *flowCheck) (string, bool) {
		return strings.TrimPrefix(c.want, "."), c.is("domain") && strings.HasPrefix(c.want, ".")
	}},
	{"disabled-ends", func(c *flowCheck) (string, bool) { return c.ended("DEACTIVATE") }},
	{"deleted-ends", func(c *flowCheck) (string, bool) { return c.ended("DELUSER") }},
	{"source-gone-ends", func(c *flowCheck) (string, bool) { return c.ended("RESTART AUTHENTICATION_BACKENDS") }},
	{"rehash", func(c *flowCheck) (string, bool) {
		switch {
		case !c.setting("PASSWORD_HASHERS"):
			return "", false
		case c.is("user", "null"):
			return "alice", true
		case c.is("cookie", "del"):
			return "none", true
		}
		return "2", c.is("stored", "1")
	}},
	{"same-id-after-rotation", func(c *flowCheck) (string, bool) {
		return "same", c.setting("SECRET_KEY_FALLBACKS") && c.is("key", "new") && !c.logsIn()
	}},
	{"no-spoof", func(c *flowCheck) (string, bool) {
		switch {
		case !strings.HasPrefix(c.f.row.id, "remote-underscore") || c.name != "user":
			return "", false
		case c.f.since(" HEADER X-Forwarded-User=alice") >= 0:
			return "alice", true
		}
		return "null", true
	}},
	{"nobody-is-sent-to-login", func(c *flowCheck) (string, bool) {
		nobody := strings.Contains(c.f.row.expected[c.f.at], "user=null")
		return "302", c.f.row.settings["LEGACY_AUTH"] == nil && strings.HasPrefix(c.page, "GET /whoami") && nobody && c.is("status", "200")
	}},
}

// ended is what follows when sessions end from outside, and are gone: nobody
// is signed in, nothing is stored, and the cookie goes at the next visit.
func (c *flowCheck) ended(how string) (string, bool) {
	at := c.f.since(how)
	if at < 0 || at < c.f.since(" LOGIN ") || c.setting("LEGACY_AUTH") {
		return "", false
	}
	switch {
	case c.name == "user":
		return "null", true
	case c.name == "stored":
		return "0", true
	case c.is("cookie", "none") && c.got.keys[0] != "" && (strings.HasPrefix(c.page, "GET /whoami") || strings.HasPrefix(c.page, "GET /protected")):
		return "del", true
	}
	return "", false
}

// since gives the last step until now that holds the words; -1: none.
func (f *flow) since(words string) int {
	for i := f.at; i >= 0; i-- {
		if strings.Contains(f.row.steps[i], words) {
			return i
		}
	}
	return -1
}

// ownPlace says whether Django's Location is a path of the same origin, which
// is all that we allow.
func ownPlace(location string) bool {
	return strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") || location == ""
}

// ours translates what Django answers into what Gatehouse does. The rule is
// the reason where it is not the same; "" where only names differ.
func (f *flow) ours(step, name, django string, got seen) (want, rule string) {
	c := &flowCheck{f: f, step: step, name: name, want: django, page: got.step, got: got}
	for _, r := range flowRules {
		if f.row.settings["LEGACY_AUTH"] != nil && r.name != "no-spoof" {
			continue // it is Django that answers
		}
		if want, ok := r.ours(c); ok && want != django {
			if name == "user" && want != "null" {
				want = f.site.account(want)
			}
			f.used.Store(r.name, true)
			return want, r.name
		}
	}
	if name == "location" && f.row.settings["LEGACY_AUTH"] == nil {
		switch {
		case django == "/login/":
			return "/_gate/login", ""
		case strings.HasPrefix(django, "/login/?"):
			return "/_gate/login?" + strings.TrimPrefix(django, "/login/?"), ""
		}
	}
	if name == "has" && django == "csrfmiddlewaretoken" {
		return "csrf_token", ""
	}
	if name == "user" && django != "null" && django != "" {
		return f.site.account(django), ""
	}
	return django, ""
}
