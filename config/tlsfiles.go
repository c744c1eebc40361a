package config

import (
	"gatehouse/internal/problem"
)

// checkUpstreamTLS reads the files of upstream_tls of each route, so that a start
// cannot fail because of them later.
func (c *Config) checkUpstreamTLS(x *crossCheck) {
	for i := range c.Routes {
		section := &c.Routes[i].UpstreamTLS
		route := index("routes", i)
		read := func(file string) ([]byte, error) {
			text, info, err := readSmall(under(x.dir, file), MaxFile)
			if err == nil && file == section.KeyFile && openToOthers(info) {
				x.Warnf(problem.Join(route, "upstream_tls.key_file"), "others may read the file %s (mode %#o); chmod 600 it", quote(file), info.Mode().Perm())
			}
			return text, err
		}
		var found problem.List
		section.CheckFiles(read, &found)
		x.add(problem.Join(route, "upstream_tls"), &found)
	}
}

// checkRedisTLS does for the files of session.redis what checkUpstreamTLS does.
func (c *Config) checkRedisTLS(x *crossCheck) {
	section := &c.Session.Redis
	read := func(file string) ([]byte, error) {
		text, info, err := readSmall(under(x.dir, file), MaxFile)
		if err == nil && file == section.KeyFile && openToOthers(info) {
			x.Warnf("session.redis.key_file", "others may read the file %s (mode %#o); chmod 600 it", quote(file), info.Mode().Perm())
		}
		return text, err
	}
	var found problem.List
	section.CheckFiles(read, &found)
	x.add("session.redis", &found)
}
