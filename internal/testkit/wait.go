package testkit

import (
	"testing"
	"time"
)

// patience is how long a busy machine may take for what an idle one does at once.
const patience = 45 * time.Second

// poll is how often a condition is looked at.
const poll = 5 * time.Millisecond

// Until waits for a condition, at most 45 s.
func Until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(poll) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
