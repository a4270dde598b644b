// Package keyfiles reads certificates and keys from files that are renewed while
// the process runs. Whatever renews them writes in steps: what cannot be used this
// time is tried again the next time, and until then the last that could is used.
package keyfiles

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// most bounds a file: the authorities of a whole system take about 250 KiB.
const most = 2 << 20

// Read returns a whole file of at most 2 MiB. What is not a regular file, such as a
// pipe that nobody writes to, is an error: opening it could wait for ever.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("%s is larger than %d bytes", path, most)
	}
	return data, err
}

// Pair reads a certificate and its key. Of two files that are renewed one after the
// other, what does not go together is an error.
func Pair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := readWhole(certFile)
	if err != nil {
		return nil, err
	}
	key, err := readWhole(keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate in %s and the key in %s: %s", certFile, keyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &pair, nil
}

// Pool reads certificates of authorities.
func Pool(caFile string) (*x509.CertPool, error) {
	data, err := readWhole(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return pool, nil
}

var errCut = errors.New("it is empty, not PEM, or cut short")

// readWhole reads a PEM file. One that ends within a block is being written: to use
// what is there would be to trust fewer than was meant.
func readWhole(path string) ([]byte, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	rest, blocks := data, 0
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		blocks++
	}
	if blocks == 0 || bytes.Contains(rest, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("%s: %w", path, errCut)
	}
	return data, nil
}
