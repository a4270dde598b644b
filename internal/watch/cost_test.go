package watch

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/cluster"
)

func TestANodeIsNotAskedForMoreThanItsShare(t *testing.T) {
	for bytes, want := range map[int64]time.Duration{0: 1500 * time.Microsecond, 1024: 1700 * time.Microsecond, 80 << 10: 17500 * time.Microsecond, -5: 1500 * time.Microsecond} {
		if got := restAfter(bytes); got != want {
			t.Errorf("after %d bytes: %v, want %v", bytes, got, want)
		}
	}
}

// TestALargeClusterIsAskedLessOften while nothing is the matter: its answers take our time.
func TestALargeClusterIsAskedLessOften(t *testing.T) {
	var small, large []cluster.Ask
	for range 6 {
		small = append(small, cluster.Ask{Each: time.Second})
	}
	for range 500 {
		large = append(large, cluster.Ask{Each: 500 * time.Millisecond}, cluster.Ask{Each: 5 * time.Second}, cluster.Ask{Each: 25 * time.Millisecond})
	}
	var c cost
	for range 200 {
		c.took(4 * time.Millisecond)
	}
	if by := c.stretch(small); by != 1 {
		t.Errorf("a small one by %v", by)
	}
	by := c.stretch(large) // 1100 answers a second, 4.4 s of work
	if by < 80 || by > 90 {
		t.Errorf("a large one by %v", by)
	}
	if got := stretched(25*time.Millisecond, by); got != 25*time.Millisecond {
		t.Errorf("in an episode: each %v", got)
	}
	if got := stretched(5*time.Second, by); got != maxIdle {
		t.Errorf("the longest is %v", got)
	}
}
