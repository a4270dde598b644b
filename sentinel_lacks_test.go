package evercache

import (
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

// TestASentinelSetThatLacksACommandIsUsedWithLess: redistest asks the nodes for
// their ROLE, so that is kept from the client only.
func TestASentinelSetThatLacksACommandIsUsedWithLess(t *testing.T) {
	t.Parallel()
	for command, confirmed := range map[string]bool{"ROLE": true, "TIME": true, "UNLINK": true, "WAIT": false} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			without := redistest.WithConfig(fmt.Sprintf(`rename-command %s ""`, command))
			if command == "ROLE" {
				without = redistest.WithUser("app", "x", "~*", "&*", "+@all", "-role")
			}
			set := redistest.StartSentinel(t, without)
			o := Options{Sentinels: set.Addrs(), MasterName: set.MasterName(), WriteTimeout: 2 * time.Second}
			if command == "ROLE" {
				o.Username, o.Password = "app", "x"
			}
			client := open(t, o)
			connect(t, client, 20*time.Second)
			c := cacheOf[string](t, client, "c", Policy{})
			wantNamed(t, client, "redis-command-missing", command)
			r, err := c.Set(t.Context(), "a", "v")
			wantValue(t, r.Durability, err, Master)
			r, err = c.Delete(t.Context(), "a")
			wantValue(t, r.Durability, err, Master)
			if !confirmed {
				wantNamed(t, client, "sentinel-unproven", command)
				return
			}
			waitUntil(t, 20*time.Second, func() bool {
				_, err := c.Set(t.Context(), "b", "v", MinReplicas(1))
				return err == nil
			}, func() string { return fmt.Sprintf("nothing is replicated: %+v", client.Health()) })
			waitUntil(t, 20*time.Second, func() bool {
				e, err := c.Lookup(t.Context(), "b")
				return err == nil && e.Coherent
			}, func() string { return fmt.Sprintf("nothing is coherent: %+v", client.Health()) })
		})
	}
}
