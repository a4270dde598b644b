package shard_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"

	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

func TestTombstonesAreCountedWhileTheyLive(t *testing.T) {
	var s shard.Tombs
	start := int64(37 * time.Minute)
	for range 3 {
		s.Left(100, start)
	}
	s.Left(1000, start+int64(5*time.Minute))
	for after, want := range map[time.Duration]int64{
		0: 4, 9 * time.Minute: 4, 11 * time.Minute: 1, 16 * time.Minute: 0, 100 * time.Minute: 0,
	} {
		if got := s.Live(start + int64(after)).Live; got != want {
			t.Errorf("after %v %d live, want %d", after, got, want)
		}
	}
	s.Left(100, start+int64(shard.TombMinutes)*int64(time.Minute)) // in the place of the first
	if got := s.Live(start + int64(11*time.Minute)); got.Live != 2 || got.Bytes != shard.TombBytes(100)+shard.TombBytes(1000) {
		t.Errorf("live = %+v", got)
	}
}

// TestWhatTombstonesTakeIsToldAboutRightly compares with what the server says.
func TestWhatTombstonesTakeIsToldAboutRightly(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{"maxmemory 30mb"}})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", evercache.Policy{WriteTimeout: 5 * time.Second})
	const workers, each = 8, 350
	before := usedMemory(t, p)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if _, err := c.Delete(t.Context(), fmt.Sprint(w, ".", i, strings.Repeat("x", 1000))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	took := usedMemory(t, p) - before
	s := client.Stats().Tombstones
	if s.Live < workers*each || s.Live > workers*each+20 {
		t.Errorf("%d tombstones are counted, %d keys were deleted", s.Live, workers*each)
	}
	if s.Bytes < took/2 || s.Bytes > 2*took {
		t.Errorf("about %d bytes are told, Redis has taken %d", s.Bytes, took)
	}
	waitFinding(t, client, "tombstones-many")
}

func usedMemory(t *testing.T, p *redisproc.Process) (n int64) {
	t.Helper()
	for line := range strings.Lines(fmt.Sprint(redisDo(t, p, "INFO", "memory"))) {
		if text, ok := strings.CutPrefix(line, "used_memory_dataset:"); ok {
			_, _ = fmt.Sscan(text, &n)
		}
	}
	return n
}

func TestTombstonesOfAReplayAreCounted(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := away(t, p, evercache.Options{})
	c := cacheOf[string](t, client, "c", evercache.Policy{})
	for i := range 5 {
		if _, err := c.Delete(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	resume(t, p)
	waitKept(t, client, 30*time.Second)
	if got := client.Stats().Tombstones.Live; got != 5 {
		t.Errorf("%d tombstones are counted, want 5", got)
	}
}
