package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
)

// tokenSource holds tokens from a setting, or from a file that is read again, so
// that they can be replaced while we run. The file is read by a goroutine that
// nobody waits for longer than for readPatience, and there is one at a time: a file
// system that hangs costs the first caller that much, and the last tokens stay.
type tokenSource struct {
	path string // "" for fixed tokens
	log  *slog.Logger
	read func(path string) ([]evercache.Secret, error)

	last atomic.Pointer[tokenState]

	mu      sync.Mutex    // guards what follows; never held while the file is read
	reading chan struct{} // closed when the reading that is under way ends; nil: there is none
	slow    bool          // it has cost somebody all patience already
	broken  bool          // the file could not be read the last time
}

// tokenState is what was last read. It is never changed.
type tokenState struct {
	sums []tokenSum
	at   time.Time // when that reading began, or one that failed since
}

// A token read from a file is at most trustedFor old when it lets somebody in,
// and at most doubtedFor old when it turns somebody away, where the file can be
// read within readPatience.
const (
	trustedFor   = time.Second
	doubtedFor   = 100 * time.Millisecond
	readPatience = 250 * time.Millisecond
)

// newTokenSource begins with what the configuration has read, so that a wrong
// file stops the start.
func newTokenSource(t config.Token, log *slog.Logger) *tokenSource {
	s := &tokenSource{path: t.File, log: log, read: config.ReadTokens}
	s.last.Store(&tokenState{sumsOf(t.Values), time.Now()})
	return s
}

// fresh are the tokens, read again if the last time is maxAge ago.
func (s *tokenSource) fresh(maxAge time.Duration) []tokenSum {
	now := s.last.Load()
	if s.path == "" || time.Since(now.at) < maxAge {
		return now.sums
	}
	done, wait := s.begin()
	if !wait {
		return now.sums
	}
	patience := time.NewTimer(readPatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		s.isSlow(done)
	}
	return s.last.Load().sums
}

// begin reads the file, unless that is under way; wait: it may end soon.
func (s *tokenSource) begin() (done <-chan struct{}, wait bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading == nil {
		s.reading, s.slow = make(chan struct{}), false
		go s.take(s.reading) // it holds nothing but a file: the end of the process need not wait
	}
	return s.reading, !s.slow
}

// take reads the file. Without a readable file the last tokens stay: rotation
// tools write in steps.
func (s *tokenSource) take(done chan struct{}) {
	began := time.Now()
	values, err := s.read(s.path)
	sums := s.last.Load().sums
	if err == nil {
		sums = sumsOf(values)
	}
	s.last.Store(&tokenState{sums, began})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = nil
	close(done)
	s.tellLocked(err)
}

// isSlow notes that the reading that ends with done has cost all patience.
func (s *tokenSource) isSlow(done <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading == done && !s.slow {
		s.slow = true
		s.tellLocked(errSlowFile)
	}
}

var errSlowFile = errors.New("does not answer")

// tellLocked logs when the file cannot be read any more, and when it can again.
func (s *tokenSource) tellLocked(err error) {
	broken := err != nil
	if broken == s.broken {
		return
	}
	s.broken = broken
	if broken {
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "the token file cannot be read; the last token stays valid",
			slog.String("event", "token.unreadable"), slog.String("file", s.path), slog.String("error", "it "+err.Error()))
		return
	}
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "the token file can be read again", slog.String("event", "token.read"), slog.String("file", s.path))
}
