package evercache

import (
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
)

// TestAModeChangesByRestart moves an application from one server to the
// Sentinel set around it, and back, by its options alone.
func TestAModeChangesByRestart(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithDownAfter(5*time.Second))
	modes := []struct {
		mode health.Mode
		o    Options
	}{
		{health.ModeStandalone, Options{Addr: set.Master().Addr()}},
		{health.ModeSentinel, Options{Sentinels: set.Addrs(), MasterName: set.MasterName()}},
		{health.ModeStandalone, Options{Addr: set.Master().Addr()}},
	}
	for i, m := range modes {
		client := open(t, m.o)
		connect(t, client, 30*time.Second)
		h := client.Health()
		if h.Mode != m.mode || (h.Sentinel != nil) != (m.mode == health.ModeSentinel) || h.Sentinel != nil && h.Sentinel.FailoverCount != 0 {
			t.Errorf("health = %+v", h)
		}
		c := cacheOf[string](t, client, "c", Policy{})
		if i > 0 {
			e, err := c.Lookup(t.Context(), "a")
			wantValue(t, e.Value, err, modes[i-1].mode.String())
		}
		_, err := c.Set(t.Context(), "a", m.mode.String(), MinDurability(Master))
		wantErr(t, err, nil)
		wantErr(t, client.Close(), nil)
	}
}
