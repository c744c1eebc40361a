package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// device is an https server that speaks one version of TLS, with a certificate
// that is for no name that anybody asks for. pin is its key's.
func device(t *testing.T, version uint16, suites ...uint16) (url, pin string) {
	t.Helper()
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })) //nolint:gosec // G705: nobody shows it
	up.TLS = &tls.Config{MinVersion: version, MaxVersion: version, CipherSuites: suites}
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	up.StartTLS()
	t.Cleanup(up.Close)
	cert, err := x509.ParseCertificate(up.TLS.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return up.URL, base64.StdEncoding.EncodeToString(sum[:])
}

// A device whose certificate and TLS are as old as itself can be used where its
// key is known, and by nobody who has another one.
func TestOldDevices(t *testing.T) {
	other := base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))
	for _, tt := range []struct {
		name       string
		version    uint16
		suites     []uint16
		min, pin   string // pin: "": none; "its own" is put in
		want, body string
	}{
		{"a certificate of nobody", tls.VersionTLS13, nil, "1.2", "", "502", ""},
		{"its key", tls.VersionTLS13, nil, "1.2", "sha256/its own", "200", "HTTP/1.1"},
		{"its key, as curl writes it", tls.VersionTLS12, nil, "1.2", "sha256//its own", "200", "HTTP/1.1"},
		{"another key", tls.VersionTLS13, nil, "1.2", "sha256/" + other, "502", ""},
		{"TLS 1.0", tls.VersionTLS10, nil, "1.2", "sha256/its own", "502", ""},
		{"TLS 1.0, allowed", tls.VersionTLS10, nil, "1.0", "sha256/its own", "200", "HTTP/1.1"},
		{"TLS 1.0, with what old devices have", tls.VersionTLS10, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}, "1.0", "sha256/its own", "200", "HTTP/1.1"},
		{"TLS 1.1, allowed", tls.VersionTLS11, nil, "1.1", "sha256/its own", "200", "HTTP/1.1"},
		{"TLS 1.2, too old", tls.VersionTLS12, nil, "1.3", "sha256/its own", "502", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, pin := device(t, tt.version, tt.suites...)
			c := fixture(url)
			c.UpstreamTLS.MinVersion, c.UpstreamTLS.Pin = tt.min, strings.Replace(tt.pin, "its own", pin, 1)
			h := open(t, setting{}, c)
			answer := h.get(t, "/x", aliceLine)
			if status(answer) != tt.want || tt.want == "200" && body(answer) != tt.body {
				t.Errorf("answer %q, want %s; log %s", answer, tt.want, h.log)
			}
		})
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add("sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	f.Add("sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	f.Add("sha256//7DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	f.Fuzz(func(t *testing.T, s string) {
		if sum := parsePin(s); sum != nil && !strings.HasSuffix(s, "/"+base64.StdEncoding.EncodeToString(sum)) {
			t.Errorf("%q is read as %x", s, sum)
		}
	})
}
