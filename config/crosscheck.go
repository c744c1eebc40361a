package config

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"gatehouse/auth/account"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/postgres"
	"gatehouse/internal/problem"
)

// A crossCheck reports what no section can see alone.
type crossCheck struct {
	*reporter
	dir  string
	info fs.FileInfo // describes the configuration file; nil if there is none
}

// Errorf adds an error, unless the key or a section around it has one already.
func (x *crossCheck) Errorf(key, format string, args ...any) {
	if !x.isBroken(key) {
		x.bad(x.line(key), key, format, args...)
	}
}

// touched reports whether the section, a key in it, or a section around it has an
// error.
func (x *crossCheck) touched(section string) bool {
	for key := range x.broken {
		if key == section || strings.HasPrefix(key, section+".") {
			return true
		}
	}
	return x.isBroken(section)
}

// Warnf adds a warning, unless the key or a section around it has an error.
func (x *crossCheck) Warnf(key, format string, args ...any) {
	if !x.isBroken(key) {
		x.warn(key, format, args...)
	}
}

// add adds the problems of a section. Their keys are relative to it.
func (x *crossCheck) add(section string, found *problem.List) {
	for _, p := range found.Errors {
		x.Errorf(problem.Join(section, p.Key), "%s", p.Message)
	}
	for _, p := range found.Warnings {
		x.Warnf(problem.Join(section, p.Key), "%s", p.Message)
	}
}

// checkTogether runs all checks that concern several sections or files, and warns
// of secrets in a file that other users can read.
func (c *Config) checkTogether(x *crossCheck) {
	c.checkUsers(x)
	c.checkRoutes(x)
	c.checkHeaders(x)
	c.checkPublic(x)
	c.checkAccounts(x)
	c.checkConnection(x)
	c.checkLoginHost(x)
	c.checkLoops(x)
	c.checkSticky(x)
	c.checkDataDir(x)
	c.checkFiles(x)
	if x.info != nil && len(x.inline) > 0 && openToOthers(x.info) {
		x.Warnf(x.inline[0], "others may read this file, which holds secrets (mode %#o); chmod 600 it, or write %s_file", x.info.Mode().Perm(), x.inline[0][strings.LastIndex(x.inline[0], ".")+1:])
	}
}

// checkAccounts warns if no account can exist, and checks the URL of the database
// that several nodes share. It does not connect.
func (c *Config) checkAccounts(x *crossCheck) {
	if c.Session.Store == "redis" && len(c.Users) == 0 && c.Session.Postgres.URL.IsZero() {
		x.Warnf("session.store", "with redis, accounts are those of users in this file alone, and there are none, so that nobody can sign in; write users, or session.postgres.url, where `gatehouse user add` puts accounts that all nodes share")
	}
	if c.Session.Postgres.URL.IsZero() || x.isBroken("session.postgres.url") {
		return
	}
	switch doubt, err := postgres.Check(c.Session.Postgres.URL.Reveal()); {
	case err != nil:
		x.Errorf("session.postgres.url", "%v", err)
	case doubt != "":
		x.Warnf("session.postgres.url", "%s", doubt)
	}
}

// checkUsers reports two entries of the same user, and warns of names that look
// alike to people.
func (c *Config) checkUsers(x *crossCheck) {
	first, looks := map[string]int{}, map[string]int{}
	for i, u := range c.Users {
		name, err := account.NormalizeName(u.Name)
		if err != nil {
			continue // its own check says so
		}
		if j, ok := first[name]; ok {
			x.Errorf(index("users", i)+".name", "%s is the same user as %s; remove one", quote(u.Name), x.where(index("users", j)))
			continue
		}
		first[name] = i
		look := account.Look(name)
		if j, ok := looks[look]; ok {
			x.Warnf(index("users", i)+".name", "%s looks like %s, %s, and people will take one for the other; rename one", quote(u.Name), quote(c.Users[j].Name), x.where(index("users", j)))
			continue
		}
		looks[look] = i
	}
}

// checkRoutes reports routes that match the same requests.
func (c *Config) checkRoutes(x *crossCheck) {
	first := map[string]int{}
	for i, r := range c.Routes {
		if x.touched(index("routes", i)) {
			continue // its host and path may be what is wrong
		}
		at := strings.ToLower(strings.TrimSuffix(r.ASCIIHost(), ".")) + cleanPath(r.Path)
		if j, ok := first[at]; ok {
			named := ""
			if r.ASCIIHost() != r.Host {
				named = " (" + at + ")"
			}
			x.Errorf(index("routes", i), "has the same host and path%s as %s; change one of them, or put the rules of both into one route", named, x.where(index("routes", j)))
			continue
		}
		first[at] = i
	}
}

// checkSticky reports a cookie that would be set twice: by a route and by the
// gate itself, or by two routes of one host.
func (c *Config) checkSticky(x *crossCheck) {
	first := map[string]int{}
	for i, r := range c.Routes {
		if r.Sticky == "" {
			continue
		}
		key := index("routes", i) + ".sticky"
		kind, ours := strings.CutPrefix(strings.ToLower(r.Sticky), strings.ToLower(c.Cookie.Name))
		if ours && (kind == "" || kind == "_csrf" || kind == "_device" || kind == "_notice" || kind == "_lang" || kind == "_enter") {
			x.Errorf(key, "%s is the name of a cookie of ours; choose another, such as app_upstream", quote(r.Sticky))
			continue
		}
		at := strings.ToLower(r.ASCIIHost()) + " " + r.Sticky
		if j, ok := first[at]; ok {
			x.Errorf(key, "%s is the cookie of %s as well, for the same host; choose another", quote(r.Sticky), x.where(index("routes", j)))
			continue
		}
		first[at] = i
	}
}

// where returns the key of another entry, with its line if it is known, for a
// message.
func (x *crossCheck) where(key string) string {
	if line := x.line(key); line > 0 {
		return fmt.Sprintf("%s in line %d", key, line)
	}
	return key
}

// cleanPath returns the path in the form in which routes and rules are compared:
// a slash at the end makes no difference.
func cleanPath(p string) string { return path.Clean("/" + p) }

// checkHeaders warns of identity headers that two sections spell differently
// (within one section, its own check does that), and reports routes that set or
// remove identity headers of any section.
func (c *Config) checkHeaders(x *crossCheck) {
	spelled := map[string]string{} // folded name to its first spelling
	look := func(section string, headers map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(headers)) {
			other, ok := spelled[httpfield.FoldName(name)]
			if !ok {
				spelled[httpfield.FoldName(name)] = name
			} else if other != name {
				x.Warnf(section+".headers."+name, "is spelled %s elsewhere in this file; write both alike, so that no application looks for the other one", quote(other))
			}
		}
	}
	look("identity", c.Identity.Headers)
	for i := range c.Routes {
		if own := c.Routes[i].Identity; own != nil {
			look(index("routes", i)+".identity", own.Headers)
		}
	}
	names := slices.Sorted(maps.Values(spelled))
	for i := range c.Routes {
		var found problem.List
		c.Routes[i].CheckIdentity(names, &found)
		x.add(index("routes", i), &found)
	}
}

// checkPublic warns of routes that are public or optional as a whole. It stops at
// the first rule of a route that is neither: what follows is not all of the
// route.
func (c *Config) checkPublic(x *crossCheck) {
	for i, route := range c.Routes {
		for j, rule := range route.Access {
			if !rule.Public && !rule.Optional || rule.Deny {
				break // what follows is not all of the route
			}
			everything := rule.Exact == "" && len(rule.Methods) == 0 && len(rule.Networks) == 0 && covers(rule.Path, route.Path)
			if everything {
				word := "public"
				if rule.Optional {
					word = "optional"
				}
				x.Warnf(index(index("routes", i)+".access", j), "everything of this route is %s: nobody has to sign in; write a path, unless that is what you want", word)
				break
			}
		}
	}
}

// covers reports whether the path of the rule includes all of the route's path.
func covers(rule, route string) bool {
	rule, route = cleanPath(rule), cleanPath(route)
	return rule == "/" || route == rule || strings.HasPrefix(route, rule+"/")
}

// checkConnection warns if the way in which visitors connect does not fit what
// the cookie and client addresses need: https, or a trusted proxy that speaks it.
func (c *Config) checkConnection(x *crossCheck) {
	if c.Admin.Listen != "" && c.Admin.Listen == c.Listen {
		x.Errorf("admin.listen", "%s is listen already; write another port", quote(c.Admin.Listen))
	}
	proxied := len(c.TrustedProxies) > 0
	socket := strings.HasPrefix(c.Listen, "unix:")
	if c.TLS.HSTS != "" && !c.TLS.Enabled() && !proxied {
		x.Warnf("tls.hsts", "says nothing, since no visitor comes over https; write cert_file and key_file, or name the proxy with https in trusted_proxies")
	}
	switch {
	case c.TLS.CertFile != "" || c.TLS.KeyFile != "":
		return
	case proxied:
	case socket:
		x.Warnf("listen", "behind a unix socket without trusted_proxies, every visitor counts as one unknown address on plain http; write trusted_proxies: [127.0.0.1], and let the proxy in front set X-Forwarded-For and -Proto")
	case c.Listen != "systemd" && !onlyLocal(c.Listen):
		x.Warnf("listen", "%s takes passwords over plain http; write tls, or put a proxy with https in front and name it in trusted_proxies", quote(c.Listen))
	}
	if c.Cookie.Secure == "true" && !proxied {
		x.Warnf("cookie.secure", "browsers do not keep a Secure cookie from plain http, so that signing in leads back to the login page; write tls, or name the proxy with https in trusted_proxies, or write auto")
	}
}

// checkFiles reads the files that the configuration names. Those of secrets have
// been read before, by the decoder.
func (c *Config) checkFiles(x *crossCheck) {
	if c.TLS.Enabled() {
		c.checkCertificate(x)
	}
	c.checkUpstreamTLS(x)
	c.checkRedisTLS(x)
	c.checkLoginPage(x)
}
