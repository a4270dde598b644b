package revoke

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

type fakeMaster struct {
	kit.Master
	name string
}

func taken(o *own) bool {
	select {
	case <-o.taken:
		return true
	default:
		return false
	}
}

func TestARevocationIsPendingUntilItIsConfirmed(t *testing.T) {
	p := newPending()
	m1, m2 := fakeMaster{name: "1"}, fakeMaster{name: "2"}
	o := p.add(entry{key: key{1}, exp: 5}, nil, false)
	batch := p.next(10)
	if len(batch) != 1 || batch[0] != o || taken(o) {
		t.Fatalf("next = %v", batch)
	}
	p.back(batch)
	p.took(p.next(10), m1)
	if !taken(o) || p.where(o) != m1 {
		t.Error("it was taken")
	}
	p.confirmed(m1, time.Now().Add(-time.Hour)) // sent before the acknowledgement
	p.confirmed(m2, time.Now().Add(time.Hour))  // of another master
	if n, untaken, _ := p.depth(); n != 1 || untaken != 0 {
		t.Errorf("%d unconfirmed, %d untaken", n, untaken)
	}
	p.again()
	p.confirmed(m1, time.Now().Add(time.Hour)) // which is gone
	if n, untaken, unsaved := p.depth(); n != 1 || untaken != 1 || unsaved != 1 {
		t.Errorf("after a change of master: %d unconfirmed, %d untaken, %d unsaved", n, untaken, unsaved)
	}
	p.took(p.next(10), m2)
	p.kept(o)
	if keys := p.confirmed(m2, time.Now().Add(time.Hour)); len(keys) != 1 {
		t.Errorf("the journal may forget %v", keys)
	}
	if n, _, _ := p.depth(); n != 0 || p.kept(o) {
		t.Errorf("%d left", n)
	}
}

func TestALaterRevocationOfTheSameStandsForTheEarlier(t *testing.T) {
	p := newPending()
	m := fakeMaster{name: "1"}
	first := p.add(entry{key: key{1}, exp: 5}, []string{"x"}, true)
	onTheWay := p.next(10)
	second := p.add(entry{key: key{1}, exp: 3}, []string{"y"}, false)
	p.took(onTheWay, m)
	if taken(first) || taken(second) {
		t.Error("taken, but the later one was not sent yet")
	}
	batch := p.next(10)
	if len(batch) != 1 || batch[0].exp != 5 || len(batch[0].drop) != 2 || !batch[0].journaled {
		t.Fatalf("next = %+v", batch)
	}
	p.took(batch, m)
	if !taken(first) || !taken(second) {
		t.Error("both wait for the one")
	}
	third := p.add(entry{key: key{1}, exp: 9}, nil, false)
	if taken(third) {
		t.Error("what was taken before says nothing of a later one")
	}
	p.back(p.next(1))
	p.again()
	if batch = p.next(10); len(batch) != 1 || batch[0] != third {
		t.Errorf("next = %v", batch)
	}
}

// Without this a Redis that never comes, or that there is none, would let memory
// grow with every revocation there ever was.
func TestWhatHasExpiredIsNotPendingAnyMore(t *testing.T) {
	p := newPending()
	for i := range byte(6) {
		p.add(entry{key: key{i}, exp: 10 + uint32(i)}, nil, i%2 == 0)
	}
	replaced := p.add(entry{key: key{5}, exp: 3}, nil, false) // keeps the later expiry
	if forget := p.expire(14); len(forget) != 2 {
		t.Errorf("the journal may forget %v, want those of 10 and 12", forget)
	}
	if n, untaken, _ := p.depth(); n != 2 || untaken != 2 {
		t.Errorf("%d pending, %d untaken, want those of 14 and 15", n, untaken)
	}
	if batch := p.next(10); len(batch) != 2 || batch[1] != replaced {
		t.Errorf("next = %+v", batch)
	}
}
