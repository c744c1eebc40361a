package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.write(t, "ca.pem", "CERTIFICATE", a.cert.Raw)
	return a
}

func (a *authority) sign(t *testing.T, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// write gives the path of a new file.
func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (a *authority) file() string { return filepath.Join(a.dir, "ca.pem") }

// client gives the files of a client certificate.
func (a *authority) client(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	cert, key := a.sign(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return a.write(t, "client.pem", "CERTIFICATE", cert.Raw), a.write(t, "client-key.pem", "PRIVATE KEY", der)
}

// server starts one whose certificate is for wiki.internal. With demand it
// wants to see a certificate of the authority's.
func (a *authority) server(t *testing.T, demand bool) *httptest.Server {
	t.Helper()
	cert, key := a.sign(t, &x509.Certificate{DNSNames: []string{"wiki.internal"}})
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.ServerName+" "+r.Proto) //nolint:gosec // G705: a test
	}))
	up.EnableHTTP2 = true
	up.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	if demand {
		up.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	}
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	up.StartTLS()
	t.Cleanup(up.Close)
	return up
}

func TestUpstreamTLS(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	certFile, keyFile := ours.client(t)
	otherCert, otherKey := other.client(t)
	for _, tt := range []struct {
		name   string
		conf   UpstreamTLSConfig
		demand bool
		want   string // the status
	}{
		{"nothing said", UpstreamTLSConfig{}, false, "502"},
		{"right CA and name", UpstreamTLSConfig{CAFile: ours.file(), ServerName: "wiki.internal"}, false, "200"},
		{"right CA, address for a name", UpstreamTLSConfig{CAFile: ours.file()}, false, "502"},
		{"right CA, wrong name", UpstreamTLSConfig{CAFile: ours.file(), ServerName: "evil.internal"}, false, "502"},
		{"wrong CA", UpstreamTLSConfig{CAFile: other.file(), ServerName: "wiki.internal"}, false, "502"},
		{"the system's CAs", UpstreamTLSConfig{ServerName: "wiki.internal"}, false, "502"},
		{"client certificate", UpstreamTLSConfig{CAFile: ours.file(), ServerName: "wiki.internal", CertFile: certFile, KeyFile: keyFile}, true, "200"},
		{"no client certificate", UpstreamTLSConfig{CAFile: ours.file(), ServerName: "wiki.internal"}, true, "502"},
		{"another's client certificate", UpstreamTLSConfig{CAFile: ours.file(), ServerName: "wiki.internal", CertFile: otherCert, KeyFile: otherKey}, true, "502"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fixture(ours.server(t, tt.demand).URL)
			c.UpstreamTLS = tt.conf
			h := open(t, setting{}, c)
			answer := h.get(t, "/x", aliceLine)
			if status(answer) != tt.want || tt.want == "200" && body(answer) != "wiki.internal HTTP/2.0" {
				t.Errorf("answer %q, want %s; log %s", answer, tt.want, h.log)
			}
			if tt.want == "502" && (strings.Contains(answer, "x509") || strings.Contains(answer, "tls:")) {
				t.Errorf("the visitor is told why: %q", answer)
			}
		})
	}
}

func TestUpstreamTLSFiles(t *testing.T) {
	a := newAuthority(t)
	certFile, keyFile := a.client(t)
	both := a.write(t, "both.pem", "CERTIFICATE", a.cert.Raw)
	f, err := os.OpenFile(both, os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // G304: a test
	if err != nil {
		t.Fatal(err)
	}
	_ = pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: []byte("broken")})
	_ = f.Close()
	for name, conf := range map[string]UpstreamTLSConfig{
		"no file":         {CAFile: filepath.Join(t.TempDir(), "none")},
		"a key":           {CAFile: keyFile},
		"one of them bad": {CAFile: both},
		"another's key":   {CertFile: a.file(), KeyFile: keyFile},
		"half":            {CertFile: certFile},
		"a port":          {ServerName: "a.test:1"},
	} {
		c := fixture("https://127.0.0.1:1")
		c.UpstreamTLS = conf
		if p, err := New(Options{Routes: []RouteConfig{c}, Auth: &gate{}, Pages: &gate{}}); err == nil {
			p.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
