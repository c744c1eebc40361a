package config

import (
	"strings"

	"gatehouse/internal/problem"
)

// checkUpstreamTLS reads the files of routes with upstream_tls, as a start
// does later.
func (c *Config) checkUpstreamTLS(a *across) {
	for i := range c.Routes {
		section := &c.Routes[i].UpstreamTLS
		route := index("routes", i)
		read := func(file string) ([]byte, error) {
			text, info, err := readSmall(under(a.dir, file), MaxFile)
			if err == nil && file == section.KeyFile && openToOthers(info) {
				a.Warnf(problem.Join(route, "upstream_tls.key_file"), "others may read the file %s (mode %#o); chmod 600 it", quote(file), info.Mode().Perm())
			}
			return text, err
		}
		var found problem.List
		section.CheckFiles(read, &found)
		a.add(route, &found)
	}
}

// checkRedisTLS does the same for those of session.redis.
func (c *Config) checkRedisTLS(a *across) {
	section := &c.Session.Redis
	read := func(file string) ([]byte, error) {
		text, info, err := readSmall(under(a.dir, file), MaxFile)
		if err == nil && file == section.KeyFile && openToOthers(info) {
			a.Warnf("session.redis.key_file", "others may read the file %s (mode %#o); chmod 600 it", quote(file), info.Mode().Perm())
		}
		return text, err
	}
	var found problem.List
	section.CheckFiles(read, &found)
	a.add("session.redis", &found)
}

// checkSticky finds cookies that two would write: a route and we ourselves, or
// two routes of one host.
func (c *Config) checkSticky(a *across) {
	first := map[string]int{}
	for i, r := range c.Routes {
		if r.Sticky == "" {
			continue
		}
		key := index("routes", i) + ".sticky"
		kind, ours := strings.CutPrefix(strings.ToLower(r.Sticky), strings.ToLower(c.Cookie.Name))
		if ours && (kind == "" || kind == "_csrf" || kind == "_device" || kind == "_notice" || kind == "_lang") {
			a.Errorf(key, "%s is the name of a cookie of ours; choose another, such as app_upstream", quote(r.Sticky))
			continue
		}
		at := strings.ToLower(r.ASCIIHost()) + " " + r.Sticky
		if j, ok := first[at]; ok {
			a.Errorf(key, "%s is the cookie of %s as well, for the same host; choose another", quote(r.Sticky), a.where(index("routes", j)))
			continue
		}
		first[at] = i
	}
}
