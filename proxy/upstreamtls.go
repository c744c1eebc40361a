package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
	"gatehouse/internal/tlsfile"
)

// An upstreamTLS is an UpstreamTLSConfig whose files have been read. It is
// immutable, and shared by all addresses of a route.
type upstreamTLS struct {
	roots *x509.CertPool   // CAs that may sign the upstream's certificate; nil: the system's
	own   *tls.Certificate // the gate's client certificate; nil: none
	name  string           // the name that the upstream's certificate must have; "": the host of its address
	least uint16           // the minimum version of TLS
	pin   []byte           // SHA-256 of the upstream's public key; nil: its certificate is verified
}

// apply adds these settings to c, the TLS configuration of one address.
func (t *upstreamTLS) apply(c *tls.Config) {
	if c.MinVersion = t.least; t.least < tls.VersionTLS12 {
		c.CipherSuites = oldSuites()
	}
	if t.pin != nil {
		c.InsecureSkipVerify = true // verifyPin verifies the key instead; nothing else in the certificate counts
		c.VerifyConnection = t.verifyPin
	}
	c.RootCAs = t.roots
	if t.own != nil {
		c.Certificates = []tls.Certificate{*t.own}
	}
	if t.name != "" {
		c.ServerName = t.name
	}
}

// verifyPin is the VerifyConnection callback: it returns an error unless the leaf
// certificate has the pinned public key. Chain, name and dates are ignored.
func (t *upstreamTLS) verifyPin(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("upstream shows no certificate")
	}
	sum := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
	if subtle.ConstantTimeCompare(sum[:], t.pin) != 1 {
		return fmt.Errorf("upstream's key is %s, which is not the pin", pinPrefix+base64.StdEncoding.EncodeToString(sum[:]))
	}
	return nil
}

// oldSuites returns all of Go's cipher suites except RC4, for upstreams that speak
// only TLS 1.0 or 1.1. Such devices may support only suites without forward
// secrecy, which Go offers only when they are listed explicitly.
func oldSuites() (ids []uint16) {
	for _, s := range tls.CipherSuites() {
		ids = append(ids, s.ID)
	}
	for _, s := range tls.InsecureCipherSuites() {
		if !strings.Contains(s.Name, "RC4") {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// pinPrefix begins a pin; defaultTLS is the default of min_version.
const (
	pinPrefix  = "sha256/"
	defaultTLS = "1.2"
)

// tlsVersions maps the values of min_version to versions of crypto/tls. "" is the
// default.
var tlsVersions = map[string]uint16{
	"": tls.VersionTLS12, "1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

// parsePin parses "sha256/BASE64" and returns the 32 bytes of the hash; nil if s is
// malformed. It accepts "sha256//BASE64" too, which is curl's notation.
func parsePin(s string) []byte {
	text, ok := strings.CutPrefix(s, pinPrefix)
	if !ok {
		return nil
	}
	if len(text) > base64.StdEncoding.EncodedLen(sha256.Size) {
		text = strings.TrimPrefix(text, "/")
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(sum) != sha256.Size {
		return nil
	}
	return sum
}

// isDefault reports whether every setting of the section has its default value.
func (c UpstreamTLSConfig) isDefault() bool {
	if c.MinVersion == defaultTLS {
		c.MinVersion = ""
	}
	return c == UpstreamTLSConfig{}
}

// check reports what is wrong with the section without reading its files
// (CheckFiles does that). Problems are reported under the keys of the section.
// RouteConfig.Check calls it.
func (c *UpstreamTLSConfig) check(report *problem.List) {
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		report.Errorf("key_file", "is missing; cert_file needs it, write the file of its private key")
	case c.CertFile == "" && c.KeyFile != "":
		report.Errorf("cert_file", "is missing; key_file needs it, write the file of its certificate")
	}
	if least, ok := tlsVersions[c.MinVersion]; !ok {
		report.Errorf("min_version", "%q is no version of TLS; write 1.2, or 1.0, 1.1 or 1.3", c.MinVersion)
	} else if least < tls.VersionTLS12 {
		report.Warnf("min_version", "%s can be broken by whoever sits between us and the application; use it where nobody does", c.MinVersion)
	}
	switch {
	case c.Pin == "":
	case parsePin(c.Pin) == nil:
		report.Errorf("pin", "%q is not sha256/ and the 44 characters of a SHA-256 in base64; "+
			"openssl x509 -in CERTIFICATE -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64 prints them", c.Pin)
	case c.CAFile != "":
		report.Warnf("ca_file", "changes nothing beside pin, which says whose key it must be; remove one of them")
	}
	if c.ServerName != "" {
		if h, err := httpfield.ParseHost(c.ServerName, ""); err != nil || h.Port != "" || strings.HasPrefix(h.Name, "[") {
			report.Errorf("server_name", "%q is not a name that a certificate is for; write one such as wiki.internal", c.ServerName)
		}
	}
}

// CheckFiles reports what is wrong with the files that the section names. read
// returns the contents of a file; its error is reported unchanged. Problems are
// reported under the keys of the section: ca_file, cert_file, key_file.
func (c *UpstreamTLSConfig) CheckFiles(read func(file string) ([]byte, error), report *problem.List) {
	c.load(read, report)
}

// trustIn reads the files of the section and applies it to all addresses in list.
// The error names each problem by its key in the route. A default section changes
// nothing.
func (c *UpstreamTLSConfig) trustIn(list []upstreamAddr) error {
	if c.isDefault() {
		return nil
	}
	var found problem.List
	t := c.load(os.ReadFile, found.In("upstream_tls"))
	for i := range list {
		list[i].trust = t
	}
	return found.Err()
}

// load reads the files with read and reports their problems. If it reported any,
// the result is incomplete and must not be used.
func (c *UpstreamTLSConfig) load(read func(string) ([]byte, error), report *problem.List) *upstreamTLS {
	t := &upstreamTLS{name: c.ServerName, least: tlsVersions[c.MinVersion], pin: parsePin(c.Pin)}
	if c.CAFile != "" {
		text, err := read(c.CAFile)
		if err == nil {
			t.roots, err = readRoots(text)
		}
		if err != nil {
			report.Errorf("ca_file", "%v", err)
		}
	}
	t.own = tlsfile.KeyPair(read, c.CertFile, c.KeyFile, report.Errorf)
	return t
}

// readRoots parses a PEM file of CA certificates. One bad certificate fails the
// whole file: if it were skipped, nobody would notice until the day it is needed.
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
