package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/config"
)

// writeCertificate writes a new certificate and its key for the section tls,
// and returns how a client trusts it.
func writeCertificate(t *testing.T, dir string) *tls.Config {
	t.Helper()
	cert, client := certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return client
}

func handshake(t *testing.T, addr string, c *tls.Config) error {
	t.Helper()
	conn, err := (&tls.Dialer{NetDialer: new(net.Dialer), Config: c}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

func TestAReloadReplacesTheCertificate(t *testing.T) {
	dir := t.TempDir()
	first := writeCertificate(t, dir)
	section := fmt.Sprintf("tls: {cert_file: %q, key_file: %q}\n", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	r := start(t, section)
	if err := handshake(t, r.addr, first); err != nil {
		t.Fatal(err)
	}
	c := r.dial()

	second := writeCertificate(t, dir)
	if err := handshake(t, r.addr, first); err != nil {
		t.Errorf("before the reload: %v", err)
	}
	if err := c.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, r.addr, second); err != nil {
		t.Errorf("after the reload: %v", err)
	}
	if err := handshake(t, r.addr, first); err == nil {
		t.Error("the old certificate is still sent")
	}

	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "tls.cert_file") {
		t.Errorf("a key that is none: %v", err)
	}
	if err := handshake(t, r.addr, second); err != nil {
		t.Errorf("after a reload that failed: %v", err)
	}

	r.write("")
	if err := c.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "needs a restart: tls") {
		t.Errorf("TLS is turned off by a reload: %v", err)
	}
}

func TestOldVersionsOfTLSAreRefused(t *testing.T) {
	dir := t.TempDir()
	client := writeCertificate(t, dir)
	r := start(t, fmt.Sprintf("tls: {cert_file: %q, key_file: %q}\n", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")))
	client.MinVersion = tls.VersionTLS10
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		client.MaxVersion = version
		if err := handshake(t, r.addr, client); (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	client.MinVersion, client.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	client.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	if err := handshake(t, r.addr, client); err == nil {
		t.Error("CBC is accepted")
	}
}

// The zero value does not serve: no source, or a configuration that nobody has
// checked, ends in an error and not in plain text or an empty certificate.
func TestNoCertificateIsAnError(t *testing.T) {
	if s, err := certificatesOf(&config.TLSConfig{}); s != nil || err != nil {
		t.Errorf("without files: %v, %v", s, err)
	}
	if s, err := certificatesOf(&config.TLSConfig{CertFile: "a", KeyFile: "b"}); s != nil || err == nil {
		t.Errorf("not checked: %v, %v", s, err)
	}
	if cert, err := tlsConfig(func() certificateSource { return nil }).GetCertificate(nil); cert != nil || err == nil {
		t.Errorf("without a source: %v, %v", cert, err)
	}
}
