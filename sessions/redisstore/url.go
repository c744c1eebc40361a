package redisstore

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// An address is the URL of a server, or of several, taken apart.
type address struct {
	hosts          []string // host:port each; the path of a unix socket
	user, password string
	db             int
	unix, tls      bool
	cluster        bool
	master         string // the name of the master, if the hosts are Sentinels
}

// parseURL reads Config.URL. Its errors are to be read after the name of the key, say
// what to write, and hold nothing that may be part of a password.
func parseURL(text string) (a address, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return a, errors.New("has no scheme; write one like redis://127.0.0.1:6379/0")
	}
	port := "6379"
	switch scheme {
	case "unix":
		a.unix = true
	case "redis", "rediss":
	case "redis+cluster", "rediss+cluster":
		a.cluster = true
	case "redis+sentinel", "rediss+sentinel":
		port = "26379"
	default:
		return a, fmt.Errorf("has the scheme %q, which is not known; write redis, rediss, redis+cluster, rediss+cluster, redis+sentinel, rediss+sentinel or unix", scheme)
	}
	a.tls = strings.HasPrefix(scheme, "rediss")

	// The hosts are cut out of it, because several are not valid in a URL.
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	begin := strings.LastIndexByte(rest[:end], '@') + 1
	u, err := url.Parse("redis://" + rest[:begin] + "host" + rest[end:])
	if err != nil {
		return a, errors.New("cannot be read; percent-encode what is special in user and password, such as %40 for @, or write the password as password_file")
	}
	a.user = u.User.Username()
	a.password, _ = u.User.Password()
	if err := a.readHosts(rest[begin:end], port); err != nil {
		return a, err
	}
	if n := len(a.hosts); n > 1 && (scheme == "redis" || scheme == "rediss") {
		return a, fmt.Errorf("names %d servers; write %[2]s+cluster or %[2]s+sentinel in place of %[2]s", n, scheme)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Fragment != "" {
		return a, errors.New("has something behind ? or # that cannot be read; leave it out")
	}
	db := strings.Trim(u.Path, "/")
	if a.unix {
		a.hosts, db = []string{u.Path}, query.Get("db")
		if len(u.Path) < 2 || begin < end {
			return a, errors.New("names no socket; write unix:///run/redis/redis.sock")
		}
		query.Del("db")
	}
	if strings.HasSuffix(scheme, "sentinel") {
		if a.master = query.Get("master"); a.master == "" {
			return a, errors.New("does not say which master the Sentinels watch; write ?master=mymaster at its end")
		}
		query.Del("master")
	}
	for name := range query {
		return a, fmt.Errorf("has the option %q, which is not known; leave it out", name)
	}
	if db == "" {
		return a, nil
	}
	if a.db, err = strconv.Atoi(db); err != nil || a.db < 0 {
		return a, errors.New("names a database that is no number; write one like redis://127.0.0.1:6379/0")
	}
	if a.cluster && a.db != 0 {
		return a, errors.New("names a database, and a Cluster has only 0; leave it out")
	}
	return a, nil
}

// readHosts reads the list of hosts, and adds the port where one has none.
func (a *address) readHosts(list, port string) error {
	if a.unix {
		return nil
	}
	for host := range strings.SplitSeq(list, ",") {
		h, p, err := net.SplitHostPort(host)
		if err != nil {
			h, p = strings.Trim(host, "[]"), port
		}
		if n, err := strconv.ParseUint(p, 10, 16); h == "" || strings.ContainsAny(h, " []@") || err != nil || n == 0 {
			return errors.New("has no host or host:port where there should be one; percent-encode what is special in user and password, such as %2F for /")
		}
		a.hosts = append(a.hosts, net.JoinHostPort(h, p))
	}
	return nil
}
