package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
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
	stamp    time.Time // the later change of the two files that pair came from
	broken   bool      // the files have changed since and cannot be used
	lookedAt time.Time
}

// lookAgain is how old the knowledge may be that the files are unchanged.
const lookAgain = time.Second

func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	c.stamp, c.lookedAt = c.changedAt(), time.Now()
	return c, c.loadLocked()
}

// get is called at each handshake.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.lookedAt) < lookAgain {
		return c.pair, nil
	}
	c.lookedAt = time.Now()
	if stamp := c.changedAt(); !stamp.Equal(c.stamp) {
		c.renewLocked(stamp)
	}
	return c.pair, nil
}

// renewLocked tries the changed files. What cannot be used is tried again and
// told once: it may have been read while it was being written.
func (c *certificate) renewLocked(stamp time.Time) {
	err := c.loadLocked()
	if err == nil {
		c.stamp, c.broken = stamp, false
		c.log.LogAttrs(context.Background(), slog.LevelInfo, "TLS certificate was renewed", slog.String("event", "certificate.renewed"))
		return
	}
	if !c.broken {
		c.log.LogAttrs(context.Background(), slog.LevelWarn, "renewed TLS certificate cannot be used; the last one stays",
			slog.String("event", "certificate.unusable"), slog.Any("error", err))
	}
	c.broken = true
}

func (c *certificate) loadLocked() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("TLS certificate: %w", err)
	}
	c.pair = &pair
	return nil
}

// changedAt is the later time of the two files; zero when one is missing.
func (c *certificate) changedAt() time.Time {
	cert, err := os.Stat(c.certFile)
	if err != nil {
		return time.Time{}
	}
	key, err := os.Stat(c.keyFile)
	if err != nil {
		return time.Time{}
	}
	if key.ModTime().After(cert.ModTime()) {
		return key.ModTime()
	}
	return cert.ModTime()
}
