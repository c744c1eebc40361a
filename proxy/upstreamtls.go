package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A trust is what upstream_tls says, read.
type trust struct {
	roots *x509.CertPool   // nil: the system's
	own   *tls.Certificate // nil: none
	name  string           // "": the address's
}

func (t *trust) apply(c *tls.Config) {
	c.RootCAs = t.roots
	if t.own != nil {
		c.Certificates = []tls.Certificate{*t.own}
	}
	if t.name != "" {
		c.ServerName = t.name
	}
}

// check looks at what can be seen without reading files.
func (c *UpstreamTLSConfig) check(bad report) {
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		bad("upstream_tls.key_file", "is missing; cert_file needs it, write the file of its private key")
	case c.CertFile == "" && c.KeyFile != "":
		bad("upstream_tls.cert_file", "is missing; key_file needs it, write the file of its certificate")
	}
	if c.ServerName != "" {
		if h, err := parseHost(c.ServerName, ""); err != nil || h.port != "" || strings.HasPrefix(h.name, "[") {
			bad("upstream_tls.server_name", "%q is not a name that a certificate is for; write one such as wiki.internal", c.ServerName)
		}
	}
}

// CheckFiles reports what is wrong with the files, which read gives by the
// names in the section. The keys are those of the route.
func (c *UpstreamTLSConfig) CheckFiles(read func(file string) ([]byte, error), bad func(key, format string, args ...any)) {
	c.load(read, bad)
}

// trustIn reads the files and puts what they say into all addresses.
func (c *UpstreamTLSConfig) trustIn(list []address) error {
	if *c == (UpstreamTLSConfig{}) {
		return nil
	}
	var problems []error
	t := c.load(os.ReadFile, func(key, format string, args ...any) {
		problems = append(problems, fmt.Errorf(key+": "+format, args...))
	})
	for i := range list {
		list[i].trust = t
	}
	return errors.Join(problems...)
}

func (c *UpstreamTLSConfig) load(read func(string) ([]byte, error), bad report) *trust {
	t := &trust{name: c.ServerName}
	if c.CAFile != "" {
		text, err := read(c.CAFile)
		if err == nil {
			t.roots, err = readRoots(text)
		}
		if err != nil {
			bad("upstream_tls.ca_file", "%v", err)
		}
	}
	if c.CertFile == "" || c.KeyFile == "" {
		return t
	}
	cert, err := read(c.CertFile)
	if err != nil {
		bad("upstream_tls.cert_file", "%v", err)
	}
	key, keyErr := read(c.KeyFile)
	if keyErr != nil {
		bad("upstream_tls.key_file", "%v", keyErr)
	}
	if err != nil || keyErr != nil {
		return t
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		bad("upstream_tls.cert_file", "%s; write a certificate and its private key, both in PEM", strings.TrimPrefix(err.Error(), "tls: "))
		return t
	}
	t.own = &pair
	return t
}

// readRoots reads certificates, every one of which must be good: one that is
// left out in silence is missed on the day that it is needed.
func readRoots(text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for n := 1; ; n++ {
		var block *pem.Block
		block, text = pem.Decode(text)
		switch {
		case block == nil && n == 1:
			return nil, errors.New("holds no certificate; write the file of a certificate in PEM")
		case block == nil:
			return pool, nil
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("holds a %s where certificates belong; write the file of certificates alone", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("holds a certificate that cannot be read, the %d. one; write it anew", n)
		}
		pool.AddCert(cert)
	}
}
