package evercache

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/local"
)

// What is announced while slots of a Cluster move is kept, but never covered; where nobody
// knows that they move, for a moment only.
func TestWhatMayHaveMovedIsKeptWithoutACover(t *testing.T) {
	hour := int64(time.Hour)
	it := &local.Item{AskAfter: hour, TrustUntil: hour, FreshUntil: hour, KeepUntil: 2 * hour}
	moved := movedAway(it)
	if moved.Cover != nil || moved.AskAfter != 0 || moved.TrustUntil != 0 || !moved.Replaced || moved.FreshUntil != hour || moved.KeepUntil != 2*hour {
		t.Errorf("%+v", moved)
	}
	now := hour / 2
	if brief := forAMoment(movedAway(it), now); brief.FreshUntil != now+unseenMove || brief.KeepUntil != now+unseenMove {
		t.Errorf("%+v", brief)
	}
	if it.Replaced || it.AskAfter != hour {
		t.Errorf("readers of the item see it change: %+v", it)
	}
}
