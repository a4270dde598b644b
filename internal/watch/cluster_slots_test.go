package watch

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/redistest"
)

// calm is for clusters in which nobody is to be replaced on a busy machine.
func calm() redistest.Option { return redistest.WithNodeTimeout(10 * time.Second) }

// moved reports whether changes carried a slot from a shard to another, in this order
// for each of the wanted ways; mu is held.
func (f *following) moved(s uint16, ways ...[2]uint32) bool {
	for _, c := range f.changes {
		if len(ways) > 0 && c.From == ways[0][0] && c.To == ways[0][1] && c.Slots.Has(s) {
			ways = ways[1:]
		}
	}
	return len(ways) == 0
}

// went reports whether a slot went from a shard to another, at once or after its owner
// had said that it has it no more; mu is held.
func (f *following) went(s uint16, from, to uint32) bool {
	return f.moved(s, [2]uint32{from, to}) || f.moved(s, [2]uint32{from, 0}, [2]uint32{0, to})
}

// TestSlotsThatMoveThereAndBackAreToldOf, and no node is given up for it.
func TestSlotsThatMoveThereAndBackAreToldOf(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	a, b := f.ownerOf(0), f.ownerOf(8000)
	from, to := c.Nodes()[0], c.Nodes()[1]
	c.Reshard(from, to, redistest.SlotRange{First: 0, Last: 9})
	f.until("they are the other shard's", func() bool { return f.of(0) == b && f.of(9) == b && f.of(10) == a && f.went(5, a, b) })
	c.Reshard(to, from, redistest.SlotRange{First: 0, Last: 9})
	f.until("they are back", func() bool { return f.of(0) == a && f.of(9) == a && f.went(5, b, a) })
	f.until("nothing moves", func() bool { return f.decided.Moving.Empty() && f.decided.Doubted.Empty() })
	f.use(3)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.promoted) != 0 {
		t.Errorf("promoted %v", f.promoted)
	}
}

// TestAMarkedSlotIsToldOf: in a reshard that was left in the middle.
func TestAMarkedSlotIsToldOf(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	c.ReshardUntil(redistest.Marked, c.Nodes()[0], c.Nodes()[1], redistest.OneSlot(7))
	f.until("the slot moves", func() bool { return f.decided.Moving == *slot.SetOf(slot.Range{First: 7, Last: 7}) })
	c.Abandon(redistest.OneSlot(7))
	f.until("it does not any more", func() bool { return f.decided.Moving.Empty() })
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.changes) > 3 || len(f.downs) > 0 {
		t.Errorf("changes %v, downs %v", f.changes, f.downs)
	}
}

// TestAStolenSlotIsToldOf: its owner hears of it from others, and says so itself behind
// the next heartbeat.
func TestAStolenSlotIsToldOf(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	a, b := f.ownerOf(0), f.ownerOf(8000)
	c.StealSlot(c.Nodes()[1], 3)
	f.until("it is the thief's", func() bool { return f.of(3) == b && f.went(3, a, b) })
	f.use(3)
}

// TestARefusedCommandIsHeardOfAtOnce: thousands of callers that a node has sent elsewhere
// leave one doubt, until the node itself has told. Where it has told before, there is
// none.
func TestARefusedCommandIsHeardOfAtOnce(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	a, b := f.ownerOf(0), f.ownerOf(8000)
	for s := range 10 {
		f.until("the shard in use", func() bool { return f.nodes[a] != nil })
		f.mu.Lock()
		n := f.nodes[a]
		f.mu.Unlock()
		c.Reshard(c.Nodes()[0], c.Nodes()[1], redistest.OneSlot(s))
		sent := time.Now()
		r, err := n.Raw(t.Context(), patience, []string{"GET", redistest.KeyIn(s, "k")})
		if err != nil || r[0].Err == nil || !strings.Contains(r[0].Err.Error(), "MOVED") {
			t.Fatalf("GET = %v, %v, want MOVED", r, err)
		}
		for range 10_000 {
			f.d.Refused(n, sent, r[0].Err)
		}
		f.until("the slot is the other shard's", func() bool { return f.of(s) == b })
		f.until("no doubt is left", func() bool { return f.decided.Doubted.Empty() })
		f.mu.Lock()
		doubted := f.doubted
		f.mu.Unlock()
		if doubted {
			return
		}
	}
	t.Error("nothing was doubted")
}

// TestTheHeartbeatLeavesASlotThatMoves: what is found there vouches for nothing any
// more, and the master is in use throughout.
func TestTheHeartbeatLeavesASlotThatMoves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	a := f.ownerOf(0)
	before := f.key(a)
	if before.void || slot.Of(before.key) != before.slot || !strings.HasPrefix(before.key, "app:~b:{") {
		t.Fatalf("the key is %+v", before)
	}
	c.ReshardUntil(redistest.Moved, c.Nodes()[0], c.Nodes()[1], redistest.OneSlot(int(before.slot)))
	var after tag
	f.until("another key", func() bool {
		f.mu.Unlock()
		defer f.mu.Lock()
		after = f.key(a)
		return after.key != before.key && after.proven
	})
	if after.slot == before.slot || after.slot > 5460 {
		t.Errorf("the key is in slot %d, before in %d", after.slot, before.slot)
	}
	if got := c.Nodes()[0].Do("GET", after.key); got == nil {
		t.Error("nothing is written under the new key")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.downs[a]) != 0 || f.books[a].replaced != 0 {
		t.Errorf("downs %v, replaced %d times", f.downs[a], f.books[a].replaced)
	}
}

// TestARefusedHeartbeatIsWrittenElsewhere before any node has told that slots move.
func TestARefusedHeartbeatIsWrittenElsewhere(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	a := f.ownerOf(0)
	f.mu.Lock()
	n := f.nodes[a]
	f.mu.Unlock()
	r, err := n.Raw(t.Context(), patience, []string{"GET", redistest.KeyIn(16383, "k")})
	if err != nil || r[0].Err == nil {
		t.Fatalf("GET = %v, %v, want MOVED", r, err)
	}
	before := f.key(a)
	for range 20 { // a heartbeat that is under way may be answered after the one that was refused
		f.d.report(func() {
			f.d.beaten(f.d.seats[a], n, beat{Barrier: remote.Barrier{Key: before.key, SentAt: time.Now()}, err: r[0].Err, at: time.Now()})
		})
		if f.key(a).key != before.key {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if after := f.key(a); after.key == before.key || after.slot == before.slot {
		t.Errorf("the key is %+v still", after)
	}
	f.until("a barrier there", func() bool { f.mu.Unlock(); defer f.mu.Lock(); return f.key(a).proven })
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.downs[a]) != 0 {
		t.Errorf("downs %v", f.downs[a])
	}
}

// TestABarrierThatWasCarriedBackVouchesForNothing: the successor of a master holds its
// key with a number that came by MIGRATE, not by the stream.
func TestABarrierThatWasCarriedBackVouchesForNothing(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	a, b := f.ownerOf(0), f.ownerOf(8000)
	before := f.key(a)
	s := redistest.OneSlot(int(before.slot))
	master, other := c.Nodes()[0], c.Nodes()[1]
	replica := c.ReplicasOf(master)[0]
	c.Reshard(master, other, s)
	f.until("its slot has gone", func() bool { return f.of(int(before.slot)) == b })
	c.WaitHealthy(patience)
	c.Takeover(replica)
	f.until("the successor is in use", func() bool { n := f.nodes[a]; return n != nil && n.Addr == replica.Addr() })
	c.WaitHealthy(patience)
	c.Reshard(other, replica, s)
	f.until("its slot is back", func() bool { return f.of(int(before.slot)) == a })
	text, _ := replica.Do("GET", before.key).(string)
	carried, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("the key was not carried back: this proves nothing (%q)", text)
	}
	c.WaitHealthy(patience)
	c.Takeover(master)
	f.until("the first master is in use again", func() bool { n := f.nodes[a]; return n != nil && n.Addr == master.Addr() })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.books[a].held[1:] {
		if h.Barrier != 0 && h.Barrier <= carried {
			t.Errorf("barrier %d was believed, which was carried: %+v", h.Barrier, f.books[a].held)
		}
	}
}

// TestAMasterThatLostAndGotASlotBackIsCertainOfNothing: between two looks. Its node is
// dialled again, and what it holds counts for nothing.
func TestAMasterThatLostAndGotASlotBackIsCertainOfNothing(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, calm())
	f := follow(t, c.Addrs()[:3], nil)
	f.use(3)
	a := f.ownerOf(0)
	before := f.key(a)
	f.mu.Lock()
	dials := len(f.books[a].held)
	f.mu.Unlock()
	c.ThereAndBack(c.Nodes()[0], c.Nodes()[1], 5)
	f.until("it is dialled again", func() bool {
		return len(f.books[a].held) > dials && f.nodes[a] != nil && (len(f.returned) > 0 || f.went(5, a, f.of(8000)))
	})
	f.use(3)
	f.mu.Lock()
	returned := len(f.returned)
	last := f.books[a].held[len(f.books[a].held)-1]
	f.mu.Unlock()
	if returned > 0 && (last.Barrier != 0 || !last.Fresh || f.key(a).key == before.key) {
		t.Errorf("held %+v", last)
	}
}
