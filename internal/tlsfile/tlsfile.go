// Package tlsfile reads a certificate and its private key for sections of the
// configuration that name two files, cert_file and key_file.
package tlsfile

import (
	"crypto/tls"
	"strings"
)

// KeyPair returns the certificate of two files in PEM. read returns the content
// of a file. What is wrong is told to report by the key of the section
// (cert_file, key_file), with the remedy; then KeyPair returns nil. It also
// returns nil, and reports nothing, if one of the names is empty.
func KeyPair(read func(file string) ([]byte, error), certFile, keyFile string, report func(key, format string, args ...any)) *tls.Certificate {
	if certFile == "" || keyFile == "" {
		return nil
	}
	cert, err := read(certFile)
	if err != nil {
		report("cert_file", "%v", err)
	}
	key, keyErr := read(keyFile)
	if keyErr != nil {
		report("key_file", "%v", keyErr)
	}
	if err != nil || keyErr != nil {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		report("cert_file", "%s; write a certificate and its private key, both in PEM", strings.TrimPrefix(err.Error(), "tls: "))
		return nil
	}
	return &pair
}
