package sentinel

import (
	"testing"
	"time"
)

// A node that is promoted twice within a moment may never be seen as a replica in between.
func TestAPromotionIsNotThatOfATimeBefore(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	m := New("m", nil, Rules{})
	n := &node{masterSince: at}
	if got := m.promotedAt(n); !got.Equal(at) {
		t.Errorf("the first change: promoted %v, want %v", got, at)
	}
	m.cur.adopted = at.Add(3 * time.Second) // another master since
	if got := m.promotedAt(n); !got.IsZero() {
		t.Errorf("promoted %v, which was before the master that is left", got)
	}
	n.masterSince = at.Add(4 * time.Second)
	if got := m.promotedAt(n); !got.Equal(n.masterSince) {
		t.Errorf("promoted %v, want %v", got, n.masterSince)
	}
}
