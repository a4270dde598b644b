package evercache

import (
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// Whoever replaces the dataset of a living master announces no key of it, or all.
func TestWhatAnotherDatasetHoldsIsNotCoherentForLong(t *testing.T) {
	t.Parallel()
	does := func(args ...string) func(*testing.T, *redisproc.Process) {
		return func(t *testing.T, p *redisproc.Process) { redisDo(t, p, args...) }
	}
	for _, tt := range []struct {
		name            string
		before, replace func(*testing.T, *redisproc.Process) // the key is newer there than in memory, or missing
	}{
		{"SWAPDB, and the ACL hides the marker", does("ACL", "SETUSER", "default", "resetkeys", "~c:*", "~~b:*", "~~d:*", "~~p:*", "~~s:*", "~~t:*"), does("SWAPDB", "0", "1")},
		{"SWAPDB", does("COPY", "c:k", "c:k", "DB", "1"), does("SWAPDB", "0", "1")},
		{"SWAPDB, nothing there", nil, does("SWAPDB", "0", "1")},
		{"FLUSHDB", nil, does("FLUSHDB")},
		{"FLUSHALL", nil, does("FLUSHALL")},
		{"DEBUG RELOAD NOSAVE", does("SAVE"), does("DEBUG", "RELOAD", "NOSAVE")},
		{"REPLICAOF another", nil, follow},
		{"REPLICAOF another, and back", nil, func(t *testing.T, p *redisproc.Process) {
			follow(t, p)
			redisDo(t, p, "REPLICAOF", "NO", "ONE")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{Config: []string{"enable-debug-command yes"}})
			c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour})
			redisDo(t, p, "SET", "c:k", "newer")
			if tt.before != nil {
				tt.before(t, p)
			}
			_, err := c.Set(t.Context(), "k", "old")
			wantErr(t, err, nil)
			waitCovers(t, c, "k", "old")
			tt.replace(t, p)
			waitUntil(t, 20*time.Second, func() bool { return !c.covers("k", "old") }, func() string { return "the old value is coherent" })
			e, err := c.Lookup(t.Context(), "k")
			if err == nil && e.Value == "old" && e.Coherent {
				t.Errorf("%+v", e)
			}
		})
	}
}

// follow makes p a replica of another server, with its data.
func follow(t *testing.T, p *redisproc.Process) {
	t.Helper()
	other := startRedis(t, redisproc.Options{Config: []string{"repl-diskless-sync-delay 0"}})
	redisDo(t, other, "SET", "c:k", "newer")
	redisDo(t, p, "REPLICAOF", "127.0.0.1", fmt.Sprint(other.Port()))
	waitUntil(t, 20*time.Second, func() bool {
		role, ok := redisDo(t, p, "ROLE").([]any)
		return ok && len(role) > 3 && fmt.Sprint(role[3]) == "connected"
	}, func() string { return "it does not follow" })
}

// A dataset that goes back to an older state gets what it lacks, as after a restart.
func TestWhatAnOlderDatasetLacksIsSentAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		first, then []string
	}{
		{"DEBUG RELOAD NOSAVE", []string{"SAVE"}, []string{"DEBUG", "RELOAD", "NOSAVE"}},
		{"SWAPDB and back", []string{"SWAPDB", "0", "1"}, []string{"SWAPDB", "0", "1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{Config: []string{"enable-debug-command yes"}})
			c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour})
			redisDo(t, p, tt.first...)
			heard(t, c.client)
			wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "k", "written since") })
			redisDo(t, p, tt.then...)
			waitUntil(t, 20*time.Second, func() bool { return redisDo(t, p, "GET", "c:k") == "written since" },
				func() string { return "what was acknowledged is not there" })
			waitFinding(t, c.client, "dataset-older")
		})
	}
}
