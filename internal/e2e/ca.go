package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A CA is the certificate authority of one Gate, and the only one that its
// browsers trust.
type CA struct {
	CertFile, KeyFile string // of the last certificate issued
	Pool              *x509.CertPool

	root *root
}

// root is the key and certificate of every CA in one process, since making keys
// takes time.
type root struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var theRoot = sync.OnceValues(func() (*root, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &root{cert, key}, err
})

// NewCA returns a CA that writes its certificates to dir.
func NewCA(tb testing.TB, dir string) *CA {
	tb.Helper()
	r, err := theRoot()
	if err != nil {
		tb.Fatal(err)
	}
	ca := &CA{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), Pool: x509.NewCertPool(), root: r}
	ca.Pool.AddCert(r.cert)
	return ca
}

// Issue writes a certificate for the names or addresses, which is valid for a day,
// to CertFile and its key to KeyFile, in place of the ones before, and returns its
// serial number.
func (ca *CA) Issue(tb testing.TB, names ...string) (serial *big.Int) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	serial, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.root.cert, &key.PublicKey, ca.root.key)
	if err != nil {
		tb.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		ca.CertFile: {Type: "CERTIFICATE", Bytes: der},
		ca.KeyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return serial
}

// Client returns a TLS configuration of a client that trusts this CA alone, for
// the server name Host. protocols are offered by ALPN.
func (ca *CA) Client(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool, ServerName: Host, NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

// WriteRoot writes the CA's own certificate to a file.
func (ca *CA) WriteRoot(tb testing.TB, file string) {
	tb.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.root.cert.Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
}
