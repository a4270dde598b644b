package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// pin accepts exactly the first certificate in a PEM file: whoever serves with
// it is the process we configured, whatever names are in it and whoever signed it.
func pin(file string) (*tls.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("EVERCACHE_TLS_CERT_FILE: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("EVERCACHE_TLS_CERT_FILE: it holds no PEM block")
	}
	ours, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("EVERCACHE_TLS_CERT_FILE: %w", err)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // the check below is stricter
		VerifyConnection: func(s tls.ConnectionState) error {
			// The key, not the certificate: it may be renewed a moment ago.
			if !bytes.Equal(s.PeerCertificates[0].RawSubjectPublicKeyInfo, ours.RawSubjectPublicKeyInfo) {
				return errors.New("the server's certificate is not that of EVERCACHE_TLS_CERT_FILE")
			}
			return nil
		},
	}, nil
}
