package config

import (
	"crypto/tls"
	"regexp"
	"strings"
	"time"

	"gatehouse/internal/problem"
)

// TLSConfig is the section tls: both files, or neither for plain HTTP. A proxy
// in front may speak TLS instead.
type TLSConfig struct {
	CertFile string `yaml:"cert_file"` // PEM, the server's certificate first
	KeyFile  string `yaml:"key_file"`  // PEM, without a passphrase
	// HSTS is the value of Strict-Transport-Security (RFC 6797) in all responses
	// over https, also if a proxy in front speaks https. "", the default:
	// responses of applications pass as they are, and our own pages send
	// max-age=31536000.
	HSTS string `yaml:"hsts"`

	certificate *tls.Certificate // of the two files; set by checkCertificate
}

// Enabled reports whether the server itself speaks TLS. This is the one place
// that decides it: a certificate from another source than two files would turn
// TLS on here.
func (c *TLSConfig) Enabled() bool { return c.CertFile != "" && c.KeyFile != "" }

// Certificate returns the certificate of the two files as they were when the
// configuration was read. It is nil if there is none, or if the configuration was
// made in code and CheckAll has not been called. A reload reads the files again.
func (c *TLSConfig) Certificate() *tls.Certificate { return c.certificate }

// hstsRE matches the values of tls.hsts (RFC 6797, 6.1; preload is an addition by
// browsers).
var hstsRE = regexp.MustCompile(`(?i)^max-age=[0-9]{1,10}( *; *(includeSubDomains|preload))*$`)

// Check reports one file without the other, and a value of hsts that browsers do
// not understand. The files are read later, by checkCertificate.
func (c *TLSConfig) Check(report *problem.List) {
	if c.HSTS != "" && !hstsRE.MatchString(c.HSTS) {
		report.Errorf("hsts", "%s is not understood by browsers; write max-age=31536000, with or without ; includeSubDomains behind it", quote(c.HSTS))
	}
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		report.Errorf("key_file", "is missing; cert_file needs it, write the file of its private key")
	case c.CertFile == "" && c.KeyFile != "":
		report.Errorf("cert_file", "is missing; key_file needs it, write the file of its certificate")
	}
}

// checkCertificate reads the two files and keeps their certificate. It warns of a
// certificate that is not valid now and of a key that others can read.
func (c *Config) checkCertificate(x *crossCheck) {
	cert, _, certErr := readSmall(under(x.dir, c.TLS.CertFile), MaxFile)
	if certErr != nil {
		x.Errorf("tls.cert_file", "%v", certErr)
	}
	key, info, keyErr := readSmall(under(x.dir, c.TLS.KeyFile), MaxFile)
	if keyErr != nil {
		x.Errorf("tls.key_file", "%v", keyErr)
	}
	if certErr != nil || keyErr != nil {
		return
	}
	if openToOthers(info) {
		x.Warnf("tls.key_file", "others may read the file %s (mode %#o); chmod 600 it", quote(c.TLS.KeyFile), info.Mode().Perm())
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		x.Errorf("tls.cert_file", "%s; write a certificate and its private key, both in PEM", strings.TrimPrefix(err.Error(), "tls: "))
		return
	}
	c.TLS.certificate = &pair
	switch now := time.Now(); {
	case now.After(pair.Leaf.NotAfter):
		x.Warnf("tls.cert_file", "the certificate has expired on %s; renew it", pair.Leaf.NotAfter.Format(time.DateOnly))
	case now.Before(pair.Leaf.NotBefore):
		x.Warnf("tls.cert_file", "the certificate is not valid before %s; check the clock", pair.Leaf.NotBefore.Format(time.DateOnly))
	}
}
