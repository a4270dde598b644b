package testkit

import (
	"sync"
	"testing"
)

// LateLog is a log that is shown only of a run that failed.
type LateLog struct {
	mu   sync.Mutex // guards text
	text []byte
}

const maxLog = 1 << 20 // its end is kept

// NewLateLog is one that a failed test shows at its end, as what.
func NewLateLog(t *testing.T, what string) *LateLog {
	l := new(LateLog)
	t.Cleanup(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if t.Failed() {
			t.Logf("%s:\n%s", what, l.text)
		}
	})
	return l
}

func (l *LateLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if len(l.text) > 2*maxLog {
		l.text = append([]byte(nil), l.text[len(l.text)-maxLog:]...)
	}
	return len(p), nil
}
