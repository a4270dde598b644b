package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// certificate serves a key pair from files and follows their renewal. A pair
// that cannot be used (a tool is still writing it) changes nothing.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu       sync.Mutex // guards what is below
	pair     *tls.Certificate
	broken   bool // the files could not be used the last time
	lookedAt time.Time
}

// lookAgain is how old the knowledge may be that the files are unchanged.
const lookAgain = time.Second

func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, lookedAt: time.Now()}
	var err error
	if c.pair, err = loadPair(certFile, keyFile); err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	return c, nil
}

// get is called at each handshake.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.lookedAt) >= lookAgain {
		c.lookedAt = time.Now()
		c.renewLocked()
	}
	return c.pair, nil
}

// expires is when the certificate ends that a caller would be shown now.
func (c *certificate) expires() time.Time {
	pair, _ := c.get(nil) // a pair is always there
	return pair.Leaf.NotAfter
}

// renewLocked takes what the files hold: their times tell nothing, since a copy may
// keep those of an older file. What cannot be used is tried again and told once: it
// may have been read while it was being written.
func (c *certificate) renewLocked() {
	pair, err := loadPair(c.certFile, c.keyFile)
	if err != nil {
		if !c.broken {
			c.log.LogAttrs(context.Background(), slog.LevelWarn, "the renewed TLS certificate cannot be used; the last one stays in use",
				slog.String("event", "certificate.unusable"), slog.Any("error", err))
		}
		c.broken = true
		return
	}
	c.broken = false
	if !slices.EqualFunc(pair.Certificate, c.pair.Certificate, slices.Equal) {
		c.log.LogAttrs(context.Background(), slog.LevelInfo, "the TLS certificate was renewed", slog.String("event", "certificate.renewed"))
	}
	c.pair = pair
}

func loadPair(certFile, keyFile string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	return &pair, err
}
