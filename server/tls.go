package server

import (
	"crypto/tls"
	"errors"

	"gatehouse/config"
)

// A certificateSource supplies the certificate for visitors' TLS connections.
// Each site has its own, so a reload replaces it like everything else. It is safe
// for concurrent use.
type certificateSource interface {
	// certificate returns the certificate for one handshake. An error ends the
	// handshake.
	certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
}

// certificatesOf returns the source that the configuration asks for; nil if TLS
// is off. A source of another kind than two files is another case here.
func certificatesOf(c *config.TLSConfig) (certificateSource, error) {
	if !c.Enabled() {
		return nil, nil //nolint:nilnil // no TLS is a valid configuration
	}
	pair := c.Certificate()
	if pair == nil {
		return nil, errors.New("tls: the configuration has not been checked, so that its certificate was not read")
	}
	return fileCertificate{pair}, nil
}

// A fileCertificate is the certificate of cert_file and key_file, the same for
// every name that a client asks for.
type fileCertificate struct{ pair *tls.Certificate }

// certificate implements certificateSource.
func (f fileCertificate) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.pair, nil
}

// errNoCertificate ends a handshake while the site in force has no source. A
// reload cannot turn TLS off, so it is not expected.
var errNoCertificate = errors.New("no certificate in the configuration")

// tlsConfig returns the configuration of visitors' TLS connections: TLS 1.2 and
// 1.3, with HTTP/2 and HTTP/1.1. Each handshake asks inForce for the source; it
// fails if there is none.
func tlsConfig(inForce func() certificateSource) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: cipherSuites(),
		NextProtos:   []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			source := inForce()
			if source == nil {
				return nil, errNoCertificate
			}
			return source.certificate(hello)
		},
	}
}

// cipherSuites returns the suites of TLS 1.2 with forward secrecy and AEAD, none
// with CBC: those of RFC 9325, 4.2 and ChaCha20-Poly1305. The suites of TLS 1.3
// cannot be configured in crypto/tls.
func cipherSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}
