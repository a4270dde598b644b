package outbox

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func boxOf(t *testing.T, n int) *Box {
	t.Helper()
	b := New(1<<20, 1<<30)
	for i := range n {
		if err := b.Put(Record{Kind: Set, Key: fmt.Sprint("k", i), Since: int64(i + 1), Ends: 1 << 60}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func isClosed(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestAWriteDoesNotWaitUntilAllThatWaitsIsLookedAt(t *testing.T) {
	t.Parallel()
	const n = 4 * heldAtOnce
	b, calls, put := boxOf(t, n), 0, make(chan struct{})
	all := b.Oldest(n+1, func(*Record) bool {
		switch calls++; {
		case calls == 1:
			go func() {
				defer close(put)
				_ = b.Put(Record{Kind: Set, Key: "beside", Since: n + 1, Ends: 1 << 60})
			}()
		case calls > heldAtOnce && !isClosed(put):
			time.Sleep(time.Millisecond)
		case calls == n && !isClosed(put):
			t.Error("the write waits until all are looked at")
		}
		return true
	})
	<-put
	if len(all) < n {
		t.Errorf("%d of %d are found", len(all), n)
	}
}

func TestWhatStaysWhileOthersLeaveIsFoundOnce(t *testing.T) {
	t.Parallel()
	const n = 20 * heldAtOnce
	b := boxOf(t, n)
	var wg sync.WaitGroup
	wg.Go(func() { // each third leaves
		for i := 0; i < n; i += 3 {
			r, _ := b.Record(fmt.Sprint("k", i))
			b.Done(r.Key, r.Seq)
		}
	})
	found := map[string]int{}
	for _, r := range b.Oldest(n, nil) {
		found[r.Key]++
	}
	wg.Wait()
	for i := range n {
		if k := fmt.Sprint("k", i); found[k] > 1 || i%3 != 0 && found[k] != 1 {
			t.Fatalf("%s is found %d times", k, found[k])
		}
	}
}

func TestTheScanEndsWhereItsNextLeavesEachTime(t *testing.T) {
	t.Parallel()
	const n = 8 * heldAtOnce
	b := boxOf(t, n)
	s, rounds := scan{box: b, n: n}, 0
	for s.next() {
		b.Done(s.key, s.at.Value.(*Record).Seq)
		if rounds++; rounds > 10 {
			t.Fatal("it begins anew without an end")
		}
	}
	if want := n - rounds; len(s.found) != want {
		t.Errorf("%d are found, %d stayed", len(s.found), want)
	}
}

func TestAWriteDoesNotWaitUntilAllHaveReturned(t *testing.T) {
	t.Parallel()
	for range 50 { // whoever looks must have the processor meanwhile
		if returnsAmongOthers(t) {
			return
		}
	}
	t.Error("nobody ever sees a part of them")
}

// returnsAmongOthers reports whether somebody saw a part of what returned.
func returnsAmongOthers(t *testing.T) (among bool) {
	t.Helper()
	const n = 5000
	b, rs := boxOf(t, 0), make([]Record, n)
	for i := range rs {
		rs[i] = Record{Kind: Set, Key: fmt.Sprint("k", i), Since: int64(i + 1), Ends: 1 << 60}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Return(rs, nil)
	}()
	for !isClosed(done) {
		got := b.Depth().Entries
		among = among || got > 0 && got < n
	}
	if got := b.Depth().Entries; got != n {
		t.Errorf("in the end %d of %d", got, n)
	}
	if all := b.Oldest(2, nil); all[0].Key != "k0" || all[1].Key != "k1" {
		t.Errorf("the oldest are %s, %s", all[0].Key, all[1].Key)
	}
	return among
}
