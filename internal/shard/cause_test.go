package shard

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/watch"
)

// Memory answers in place of a master that is not in use, and has to say why. The client
// may be connected all the same: a master is gone a moment before the state changes, and slots that
// move are without an owner for a moment.
func TestAMasterThatIsNotInUseHasACause(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost")
	tests := []struct {
		name    string
		mode    health.Mode
		reached bool
		state   error // what the state knows
		want    error
	}{
		{"none was ever reached", health.ModeStandalone, false, nil, ErrNotYet},
		{"the state does not know yet", health.ModeStandalone, true, nil, watch.ErrNotConnected},
		{"the state knows", health.ModeStandalone, true, lost, lost},
		{"the slot has no owner, for a moment", health.ModeCluster, true, nil, errUnowned},
		{"the slot has no owner, and no master was ever reached", health.ModeCluster, false, nil, ErrNotYet},
		{"the slot has no owner, and the state knows more", health.ModeCluster, true, lost, lost},
		{"there is to be none", health.ModeMemoryOnly, false, nil, nil},
	}
	for _, tt := range tests {
		st := New(Config{Mode: tt.mode, Log: slog.New(slog.DiscardHandler)}, clock.New())
		t.Cleanup(func() { st.cancel(nil) })
		st.status.Apply(masterVerified, nil)
		st.status.Apply(writesReplayed, nil)
		st.reached.Store(tt.reached)
		if tt.state != nil {
			st.status.Apply(masterLost, tt.state)
		}
		k := st.NewClass("c", time.Hour, time.Second, nil)
		if k.Connected("a") {
			t.Fatalf("%s: it is in use", tt.name)
		}
		if got := k.Cause("a"); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if away := st.AwayCause(); away == nil {
			t.Errorf("%s: no cause why masters are away", tt.name)
		}
	}
}
