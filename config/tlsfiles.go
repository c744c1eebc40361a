package config

import (
	"gatehouse/internal/problem"
)

// checkUpstreamTLS reads the files of upstream_tls of each route, as a start
// does later.
func (c *Config) checkUpstreamTLS(x *crossCheck) {
	for i := range c.Routes {
		section := &c.Routes[i].UpstreamTLS
		x.checkTLSFiles(problem.Join(index("routes", i), "upstream_tls"), section.KeyFile, section.CheckFiles)
	}
}

// checkRedisTLS does the same for those of session.redis.
func (c *Config) checkRedisTLS(x *crossCheck) {
	section := &c.Session.Redis
	x.checkTLSFiles("session.redis", section.KeyFile, section.CheckFiles)
}

// checkTLSFiles has check read the files of the section with that key, and
// warns if others may read the private key in keyFile.
func (x *crossCheck) checkTLSFiles(key, keyFile string, check func(read func(file string) ([]byte, error), report *problem.List)) {
	read := func(file string) ([]byte, error) {
		text, info, err := readSmall(under(x.dir, file), MaxFile)
		if err == nil && file == keyFile && openToOthers(info) {
			x.Warnf(problem.Join(key, "key_file"), "others may read the file %s (mode %#o); chmod 600 it", quote(file), info.Mode().Perm())
		}
		return text, err
	}
	var found problem.List
	check(read, &found)
	x.add(key, &found)
}
