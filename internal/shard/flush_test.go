package shard_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// A flush by hand ends what was kept before it: a restart without data within the next
// minute does not bring it back. What was written after it comes back, and so does
// everything where another database was flushed.
func TestWhatWasFlushedDoesNotComeBackWithAnEmptyRestart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		db    int
		flush []string
		want  string // of what was written before
	}{
		"FLUSHALL":                     {0, []string{"FLUSHALL"}, ""},
		"FLUSHDB":                      {0, []string{"FLUSHDB"}, ""},
		"FLUSHDB ASYNC":                {0, []string{"FLUSHDB", "ASYNC"}, ""},
		"FLUSHDB, of another database": {1, []string{"FLUSHDB"}, "v"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			client := open(t, evercache.Options{Addr: p.Addr(), DB: tt.db})
			connect(t, client, 20*time.Second)
			c := cacheOf[string](t, client, "c", evercache.Policy{TTL: time.Hour})
			for seen := false; !seen; { // a busy machine may lose the connection with the flush, and nobody sees that
				wantMaster(t, func() (evercache.Receipt, error) { return c.Set(t.Context(), "before", "v") })
				pass(t, client, 2)
				n := times(client)
				redisDo(t, p, tt.flush...)
				pass(t, client, 3)
				seen = times(client) == n
			}
			wantMaster(t, func() (evercache.Receipt, error) { return c.Set(t.Context(), "after", "v") })
			pass(t, client, 2)
			n := times(client)
			kill(t, p)
			restart(t, p, redisproc.Empty)
			returned(t, client, n)
			for key, want := range map[string]string{"before": tt.want, "after": "v"} {
				got, _ := redisDo(t, p, "EVAL", "redis.call('SELECT', ARGV[1]) return redis.call('GET', KEYS[1])", "1", "c:"+key, string(rune('0'+tt.db))).(string)
				if got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
		})
	}
}

// pass waits for so many answered barriers.
func pass(t *testing.T, c *evercache.Client, n uint64) {
	t.Helper()
	began, _ := shard.Of(c).Barriers.Watch()
	waitUntil(t, 20*time.Second, func() bool { last, _ := shard.Of(c).Barriers.Watch(); return last.N >= began.N+n }, func() string { return "no barrier" })
}
