package daemon

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/censor"
)

// token is the secret that callers must show, from a setting or from a file
// that is read again, so that it can be replaced while we run. A nil *token
// means that the listener is open.
type token struct {
	path string // "" for a fixed token
	log  *slog.Logger

	mu     sync.Mutex // guards what is below
	sum    [sha256.Size]byte
	readAt time.Time
	broken bool // the file could not be read the last time
}

// A token read from a file is at most trustedFor old when it lets somebody in,
// and at most doubtedFor old when it turns somebody away.
const (
	trustedFor = time.Second
	doubtedFor = 100 * time.Millisecond
)

// newToken returns the token to check, or nil when none is configured. The
// configuration has read the file once, so that a wrong one stops the start.
func newToken(secret evercache.Secret, path string, log *slog.Logger) *token {
	if secret == "" {
		return nil
	}
	censor.Hide(secret.Reveal())
	return &token{path: path, log: log, sum: sha256.Sum256([]byte(secret.Reveal())), readAt: time.Now()}
}

// matches compares in constant time; the sums have one length whatever was given.
func (t *token) matches(given string) bool {
	sum := sha256.Sum256([]byte(given))
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, maxAge := range []time.Duration{trustedFor, doubtedFor} {
		t.refreshLocked(maxAge)
		if subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 {
			return true
		}
	}
	return false
}

// refreshLocked reads the file again when the last time is maxAge ago. Without
// a readable file the last token stays: rotation tools write in steps.
func (t *token) refreshLocked(maxAge time.Duration) {
	if t.path == "" || time.Since(t.readAt) < maxAge {
		return
	}
	err := t.readLocked()
	if broken := err != nil; broken != t.broken {
		t.broken = broken
		if broken {
			t.log.LogAttrs(context.Background(), slog.LevelWarn, "token file cannot be read; the last token stays valid",
				slog.String("event", "token.unreadable"), slog.Any("error", err))
		} else {
			t.log.LogAttrs(context.Background(), slog.LevelInfo, "token file is readable again", slog.String("event", "token.read"))
		}
	}
}

// readLocked takes the token from the file.
func (t *token) readLocked() error {
	t.readAt = time.Now()
	secret, err := config.ReadSecret(t.path)
	if err != nil {
		return fmt.Errorf("it %w", err)
	}
	censor.Hide(secret.Reveal())
	t.sum = sha256.Sum256([]byte(secret.Reveal()))
	return nil
}

const (
	bearerChallenge = `Bearer realm="evercache"`
	basicChallenge  = `Basic realm="evercache", charset="UTF-8"`
)

// check lets a request pass that shows the token. Where basic is true the token
// may also be the password of Basic, for browsers and scrapers that know no
// other way; the user name does not matter.
func (t *token) check(r *http.Request, basic bool) *apiError {
	if t == nil {
		return nil
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && t.matches(strings.TrimSpace(given)) {
		return nil
	}
	if !basic {
		return errUnauthorized(bearerChallenge)
	}
	if _, password, ok := r.BasicAuth(); ok && t.matches(password) {
		return nil
	}
	return errUnauthorized(bearerChallenge, basicChallenge)
}
