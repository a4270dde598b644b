package local

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
)

// realClock is the time of this process.
type realClock struct{ start time.Time }

func (c realClock) NowNano() int64 { return int64(time.Since(c.start)) + 1 }

// Values of all sizes come, end, are overwritten and are dropped with their class, from many
// goroutines: what stays takes no more than the bound, and every table has the same.
func TestMemoryStaysWithinItsBoundHoweverItIsUsed(t *testing.T) {
	const bound = 24 << 20
	var ev Evictions
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	s := New(Bound{Bytes: bound}, realClock{time.Now()}, &ev)
	defer s.Close()
	for round, most := range []int{0, 300_000, 3000} { // after many small ones few large ones
		churn(s, round, most)
		waitExpired(t, s)
		took := heap() - before
		t.Logf("values of %d bytes at most: %d entries, %.2f of the bound by count, %.3f in the heap",
			most, s.Len(), float64(s.Bytes())/bound, float64(took)/bound)
		if took > bound*115/100 { // the tables of many small ones are there for a while
			t.Errorf("values of %d bytes at most: %d bytes are taken, the bound is %d", most, took, bound)
		}
		wantListed(t, s)
	}
	s.Clear()
	wantListed(t, s)
	if took := heap() - before; took > bound/10 {
		t.Errorf("an empty Store takes %d bytes", took)
	}
}

func churn(s *Store, round, most int) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), uint64(round)))
			for range min(20_000, 120_000_000/(most+1)/8) {
				k := Key{uint32(r.IntN(5)), fmt.Sprintf("key-%d-%d", most, r.IntN(100_000))}
				switch r.IntN(20) {
				case 0:
					s.Delete(k)
				case 1, 2, 3:
					s.Hit(k, s.clock.NowNano())
				default:
					size := 0
					if most > 0 {
						size = r.IntN(most)
					}
					it := NewItem(make([]byte, size))
					it.Size = uint32(size + BytesWith[[]byte]() - Bytes)
					it.KeepUntil = s.clock.NowNano() + int64(time.Hour)
					if r.IntN(4) == 0 {
						it.KeepUntil = s.clock.NowNano() + int64(r.IntN(int(time.Second)))
					}
					s.Set(k, it)
				}
				if r.IntN(10_000) == 0 {
					class := uint32(r.IntN(5))
					for k := range s.Keys(class) {
						s.Delete(Key{class, k})
					}
					s.Forget(class)
				}
			}
		})
	}
	wg.Wait()
}

// waitExpired waits until what has expired is taken out.
func waitExpired(t *testing.T, s *Store) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s.cache.CleanUp()
		live, ending := 0, 0
		for it := range s.cache.Values() {
			if live++; it.KeepUntil < s.clock.NowNano()+int64(time.Minute) {
				ending++
			}
		}
		if ending == 0 && live == int(s.entries.Load()) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d entries are live, %d of them about to end, %d are listed", live, ending, s.entries.Load())
		}
	}
}
