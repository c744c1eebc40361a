package redisstore

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// defaultPrefix is the default of key_prefix.
const defaultPrefix = "gatehouse:"

// Config is the section session.redis of the configuration, for the
// store redis, or the cache in front of the store postgres.
type Config struct {
	// URL says where: redis://user:password@host:6379/0, rediss:// with TLS, or
	// unix:///path?db=0. A Cluster is redis+cluster:// (or rediss+cluster://)
	// with some of its servers, h1:6379,h2:6379. What Sentinel watches is
	// redis+sentinel:// (rediss+sentinel://) with the Sentinels, a database and
	// the name of the master: s1:26379,s2:26379/0?master=mymaster. User,
	// password, ports and database may be left out.
	URL secret.Text `yaml:"url"`

	Password         secret.Text `yaml:"password"`          // in place of one in the URL
	SentinelPassword secret.Text `yaml:"sentinel_password"` // of the Sentinels themselves; "": none
	KeyPrefix        string      `yaml:"key_prefix"`        // of every key and channel

	CAFile   string `yaml:"ca_file"`   // PEM: who alone may have signed the server's certificate; "": whom the system trusts
	CertFile string `yaml:"cert_file"` // PEM, with KeyFile: our certificate, where the server asks for one
	KeyFile  string `yaml:"key_file"`
}

// SetDefaults fills in what the documentation names as defaults.
func (c *Config) SetDefaults() { c.KeyPrefix = defaultPrefix }

// Used says whether anything is written in the section.
func (c *Config) Used() bool {
	return !c.URL.IsZero() || !c.Password.IsZero() || !c.SentinelPassword.IsZero() ||
		c.KeyPrefix != defaultPrefix && c.KeyPrefix != "" || c.CAFile != "" || c.CertFile != "" || c.KeyFile != ""
}

// IsCluster reports whether the URL names a Cluster.
func (c *Config) IsCluster() bool {
	at, err := parseURL(c.URL.Reveal())
	return err == nil && at.cluster
}

// Same says whether both describe the same store in the same way.
func (c *Config) Same(d *Config) bool {
	return c.URL.Reveal() == d.URL.Reveal() && c.Password.Reveal() == d.Password.Reveal() &&
		c.SentinelPassword.Reveal() == d.SentinelPassword.Reveal() && c.KeyPrefix == d.KeyPrefix &&
		c.CAFile == d.CAFile && c.CertFile == d.CertFile && c.KeyFile == d.KeyFile
}

// Options reads the files that the section names.
func (c *Config) Options(log *slog.Logger) (Options, error) {
	o := Options{
		URL: c.URL.Reveal(), Password: c.Password.Reveal(), SentinelPassword: c.SentinelPassword.Reveal(),
		KeyPrefix: c.KeyPrefix, Log: log,
	}
	var found problem.List
	o.TLS = c.load(os.ReadFile, found.In("session.redis"))
	return o, found.Err()
}

// CheckFiles says what is wrong with the files, which read gives.
func (c *Config) CheckFiles(read func(file string) ([]byte, error), report *problem.List) {
	c.load(read, report)
}

func (c *Config) load(read func(string) ([]byte, error), report *problem.List) *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		switch text, err := read(c.CAFile); {
		case err != nil:
			report.Errorf("ca_file", "%v", err)
		default:
			t.RootCAs = x509.NewCertPool()
			if block, _ := pem.Decode(text); block == nil || !t.RootCAs.AppendCertsFromPEM(text) {
				report.Errorf("ca_file", "there is no certificate in it; write certificates in PEM")
			}
		}
	}
	if c.CertFile == "" || c.KeyFile == "" {
		return t
	}
	cert, err := read(c.CertFile)
	if err != nil {
		report.Errorf("cert_file", "%v", err)
	}
	key, keyErr := read(c.KeyFile)
	if keyErr != nil {
		report.Errorf("key_file", "%v", keyErr)
	}
	if err != nil || keyErr != nil {
		return t
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		report.Errorf("cert_file", "%s; write a certificate and its private key, both in PEM", strings.TrimPrefix(err.Error(), "tls: "))
		return t
	}
	t.Certificates = []tls.Certificate{pair}
	return t
}

// Check reports what is wrong with the section (report) or doubtful (report). That
// it is needed, or not, is said by Config.
func (c *Config) Check(report *problem.List) {
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		report.Errorf("key_file", "is missing; cert_file needs it, write the file of its private key")
	case c.CertFile == "" && c.KeyFile != "":
		report.Errorf("cert_file", "is missing; key_file needs it, write the file of its certificate")
	}
	if c.KeyPrefix == "" || strings.ContainsAny(c.KeyPrefix, "{} \t\r\n") || len(c.KeyPrefix) > 64 {
		report.Errorf("key_prefix", "%q is empty, too long, or has spaces or braces; write one like gatehouse:", c.KeyPrefix)
	}
	if c.URL.IsZero() {
		return
	}
	a, err := parseURL(c.URL.Reveal())
	if err != nil {
		report.Errorf("url", "%v", err)
		return
	}
	if a.password != "" && !c.Password.IsZero() {
		report.Errorf("password", "there is one in url as well; leave one of them out")
	}
	if !c.SentinelPassword.IsZero() && a.master == "" {
		report.Errorf("sentinel_password", "url names no Sentinels; leave it out")
	}
	if c.CAFile+c.CertFile+c.KeyFile != "" && !a.tls {
		report.Errorf("url", "has no TLS, which ca_file and cert_file are for; write rediss in place of redis")
	}
	if a.tls || a.unix {
		return
	}
	for _, host := range a.hosts {
		if !loopback(host) {
			report.Warnf("url", "%s is reached without TLS: whoever listens on the way sees the password, and who is signed in, and can change it; write rediss in place of redis, or let nothing but this pass between the two", host)
			return
		}
	}
}

// loopback says whether the host of host:port is this machine.
func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// A address is a URL, read.
type address struct {
	hosts          []string // host:port, or one path
	user, password string
	db             int
	unix, tls      bool
	cluster        bool
	master         string // not "": the hosts are Sentinels
}

// parseURL reads Config.URL. What it says of a mistake shows nothing
// that may be part of a password.
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

	// The hosts are cut out: several are no URL.
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
