package redisstore

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/tlsfile"
)

// defaultPrefix is the default of key_prefix.
const defaultPrefix = "gatehouse:"

// Config is the section session.redis of the configuration: of the store redis, or of
// the cache in front of the store postgres.
type Config struct {
	// URL says where the server is. User, password, ports and database may be left
	// out:
	//
	//	redis://user:password@host:6379/0
	//	unix:///path?db=0
	//	redis+cluster://h1:6379,h2:6379                        some servers of a Cluster
	//	redis+sentinel://s1:26379,s2:26379/0?master=mymaster   the Sentinels of a master
	//
	// rediss in place of redis is with TLS.
	URL secret.Text `yaml:"url"`

	Password         secret.Text `yaml:"password"`          // in place of the one in URL
	SentinelPassword secret.Text `yaml:"sentinel_password"` // of the Sentinels themselves; "": none
	KeyPrefix        string      `yaml:"key_prefix"`        // of every key and channel

	CAFile   string `yaml:"ca_file"`   // PEM: the authorities that may have signed the server's certificate; "": the system's
	CertFile string `yaml:"cert_file"` // PEM: our certificate, where the server asks for one; with KeyFile
	KeyFile  string `yaml:"key_file"`
}

// SetDefaults fills in the defaults that are not zero.
func (c *Config) SetDefaults() { c.KeyPrefix = defaultPrefix }

// Used reports whether anything in the section differs from its default.
func (c *Config) Used() bool {
	return !c.URL.IsZero() || !c.Password.IsZero() || !c.SentinelPassword.IsZero() ||
		c.KeyPrefix != defaultPrefix && c.KeyPrefix != "" || c.CAFile != "" || c.CertFile != "" || c.KeyFile != ""
}

// IsCluster reports whether the URL names a Cluster.
func (c *Config) IsCluster() bool {
	at, err := parseURL(c.URL.Reveal())
	return err == nil && at.cluster
}

// Same reports whether both sections are equal.
func (c *Config) Same(d *Config) bool {
	return c.URL.Reveal() == d.URL.Reveal() && c.Password.Reveal() == d.Password.Reveal() &&
		c.SentinelPassword.Reveal() == d.SentinelPassword.Reveal() && c.KeyPrefix == d.KeyPrefix &&
		c.CAFile == d.CAFile && c.CertFile == d.CertFile && c.KeyFile == d.KeyFile
}

// Options returns the options for New and NewCache. It reads the files that the section
// names; the error lists what is wrong with them.
func (c *Config) Options(log *slog.Logger) (Options, error) {
	o := Options{
		URL: c.URL.Reveal(), Password: c.Password.Reveal(), SentinelPassword: c.SentinelPassword.Reveal(),
		KeyPrefix: c.KeyPrefix, Log: log,
	}
	var found problem.List
	o.TLS = c.load(os.ReadFile, found.In("session.redis"))
	return o, found.Err()
}

// CheckFiles adds to report what is wrong with the files that the section names. read
// returns the content of a file.
func (c *Config) CheckFiles(read func(file string) ([]byte, error), report *problem.List) {
	c.load(read, report)
}

// load makes the configuration of TLS out of the files.
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
	if pair := tlsfile.KeyPair(read, c.CertFile, c.KeyFile, report.Errorf); pair != nil {
		t.Certificates = []tls.Certificate{*pair}
	}
	return t
}

// Check adds to report what is wrong with the section, and warnings of what is doubtful.
// It does not know whether the section is needed, and reads no files.
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

// loopback reports whether the host of host:port is this machine.
func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
