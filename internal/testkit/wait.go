package testkit

import (
	"testing"
	"time"
)

// patience is long enough for a machine that stood still: sentinels that notice it do nothing
// for 30 s (TILT), and an election that fails is repeated after 20 s, twice perhaps.
const patience = 2 * time.Minute

// poll is how often a condition is looked at.
const poll = 5 * time.Millisecond

// Until waits for a condition, at most two minutes.
func Until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(poll) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
