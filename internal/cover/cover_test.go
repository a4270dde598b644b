package cover

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"
)

// TestEveryOrderOfRenewalsAndAnEnd tries all of them up to a length against what is
// promised: the last lease counts until the end, and nothing after it.
func TestEveryOrderOfRenewalsAndAnEnd(t *testing.T) {
	t.Parallel()
	const length = 6
	type model struct {
		until int64
		over  bool
	}
	var try func(done []string, was int64, m model)
	try = func(done []string, was int64, m model) {
		at := func() *Cover { c := new(Cover); c.until.Store(was); return c }
		for now := range int64(4) {
			if want := !m.over && now < m.until; at().Covers(now) != want {
				t.Fatalf("%v: it covers %d: %v", done, now, !want)
			}
		}
		if at().Over() != m.over {
			t.Fatalf("%v: over is %v", done, !m.over)
		}
		if len(done) == length {
			return
		}
		for until := range int64(4) {
			c := at()
			c.Renew(until)
			try(append(done, fmt.Sprint("renew ", until)), c.until.Load(), model{until, m.over})
		}
		c := at()
		c.End()
		try(append(done, "end"), c.until.Load(), model{m.until, true})
	}
	try(nil, 0, model{})
}

func TestNoCoverCoversNothingAndIsNotOver(t *testing.T) {
	t.Parallel()
	var c *Cover
	if c.Covers(0) || c.Over() {
		t.Error("it does, or is")
	}
}

// TestAnEndedCoverStaysEndedWhoeverRenewsIt lets renewals and the end run together.
func TestAnEndedCoverStaysEndedWhoeverRenewsIt(t *testing.T) {
	t.Parallel()
	for range 200 {
		var c Cover
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for range 2 {
			wg.Go(func() {
				<-begin
				for until := range int64(50) {
					c.Renew(until + 1)
				}
			})
		}
		wg.Go(func() {
			<-begin
			c.End()
			if c.Covers(0) || !c.Over() {
				t.Error("it covers after its end")
			}
		})
		close(begin)
		wg.Wait()
		if c.Covers(0) || !c.Over() {
			t.Fatal("a renewal has brought it back")
		}
	}
}

func TestACoverSharesItsLineOfTheCacheWithNothing(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Cover{}); size != 64 {
		t.Errorf("it takes %d bytes", size)
	}
}

func TestWhoReliesOnACoverIsNoted(t *testing.T) {
	c := new(Cover)
	c.Renew(10)
	if c.Lasts(5); c.Used() {
		t.Error("to look is no use")
	}
	if c.Covers(10); c.Used() {
		t.Error("it has not vouched")
	}
	if c.Covers(5); !c.Used() || c.Used() {
		t.Error("a use is to be told once")
	}
}
