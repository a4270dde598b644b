package revoke_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAMillionChecksOfGarbageLeaveNothing: neither here nor in Redis.
// EVERCACHE_GARBAGE says how many instead of a million.
func TestAMillionChecksOfGarbageLeaveNothing(t *testing.T) {
	n := 1_000_000
	if m, err := strconv.Atoi(os.Getenv("EVERCACHE_GARBAGE")); err == nil {
		n = m
	}
	server := redistest.Start(t)
	p := startAll(t, 1, single(server), revoke.Policy{})[0]
	p.revoke("a")
	check := func(from, to int) {
		buf := make([]byte, 0, 64)
		for i := from; i < to; i++ {
			id := string(fmt.Appendf(buf[:0], "garbage-%d-\x00\xff", i))
			token := revoke.Token{ID: id}
			if i%8 == 0 {
				token.Subject = id
			}
			if v := p.Check(token); v.Status == revoke.Revoked {
				t.Errorf("%q is revoked", id)
			}
		}
	}
	check(0, 1000)
	before, keys := heap(), server.Do("DBSIZE")
	var wg sync.WaitGroup
	for half := range 2 {
		wg.Go(func() { check(half*n/2, (half+1)*n/2) })
	}
	wg.Wait()
	grown := int64(heap()) - int64(before)
	t.Logf("%d checks: the heap has grown by %d KiB, from %d KiB", n, grown/1024, before/1024)
	if grown > 1<<20 { // 16 bytes each would be 16 MB
		t.Errorf("it has grown by %d bytes", grown)
	}
	if s := p.Stats(); s.Entries != 1 {
		t.Errorf("%d entries", s.Entries)
	}
	if now := server.Do("DBSIZE"); now != keys {
		t.Errorf("Redis has %v keys, and had %v", now, keys)
	}
}
