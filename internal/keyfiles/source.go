package keyfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
	"time"
)

// Names are the files of a TLS client; empty ones are not used.
type Names struct{ CA, Cert, Key string }

// Source makes the TLS settings of each connection from files. It is safe for
// concurrent use.
type Source struct {
	base  *tls.Config
	names Names

	mu    sync.Mutex       // guards what follows
	roots *x509.CertPool   // the last that could be read; nil: none yet
	pair  *tls.Certificate // likewise
	fault error            // of the last look
}

// NewSource returns one that puts what the files hold over base. What base holds of
// that is used until the files have been read once.
func NewSource(base *tls.Config, names Names) *Source {
	s := &Source{base: base, names: names}
	if s.base == nil {
		s.base = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	s.roots = s.base.RootCAs
	if len(s.base.Certificates) > 0 {
		s.pair = &s.base.Certificates[0]
	}
	return s
}

// Config reads the files and returns the settings for one connection. Where a file
// cannot be used the last that could stands in for it; the error is nil then, and
// Fault tells. It is an error where there was none.
func (s *Source) Config() (*tls.Config, error) {
	s.Look()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names.CA != "" && s.roots == nil || s.names.Cert != "" && s.pair == nil {
		return nil, s.fault
	}
	c := s.base.Clone()
	if s.names.CA != "" {
		c.RootCAs = s.roots
	}
	if s.names.Cert != "" {
		c.Certificates = []tls.Certificate{*s.pair}
	}
	return c, nil
}

// Look reads the files. What can be used of them is used from then on.
func (s *Source) Look() {
	var roots *x509.CertPool
	var pair *tls.Certificate
	var badCA, badPair error
	if s.names.CA != "" {
		roots, badCA = Pool(s.names.CA)
	}
	if s.names.Cert != "" {
		pair, badPair = Pair(s.names.Cert, s.names.Key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if roots != nil {
		s.roots = roots
	}
	if pair != nil {
		s.pair = pair
	}
	s.fault = errors.Join(badCA, badPair)
}

// Fault is why the files could not be used at the last look; nil: they could.
func (s *Source) Fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// Expires is when the certificate that is used is over; not ok: there is none.
func (s *Source) Expires() (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pair == nil || s.pair.Leaf == nil {
		return time.Time{}, false
	}
	return s.pair.Leaf.NotAfter, true
}
