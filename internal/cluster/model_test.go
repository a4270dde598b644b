package cluster

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/slot"
)

// FuzzTheTruthIsFoundInTheEnd: whatever happens to a Cluster, and in whatever order
// true answers come, late or never, nobody is the owner of a slot who has not said
// so; and when everybody has been heard at last the owners are the true ones.
func FuzzTheTruthIsFoundInTheEnd(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(randomSteps(seed, 400))
	}
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 2000 {
			return
		}
		runModel(t, steps)
	})
}

// TestTheTruthIsFoundInTheEnd is the same for many random histories.
func TestTheTruthIsFoundInTheEnd(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		runModel(t, randomSteps(seed, 600))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomSteps(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	steps := make([]byte, n)
	for i := range steps {
		steps[i] = byte(r.Uint32())
	}
	return steps
}

// history is a world in which things happen, and answers are on their way.
type history struct {
	*world
	under   []View
	claims  map[ID]*slot.Set
	masters map[generation]ID
}

func runModel(t *testing.T, steps []byte) {
	t.Helper()
	h := &history{world: newWorld(t, 3, 2), claims: map[ID]*slot.Set{}, masters: map[generation]ID{}}
	for _, n := range h.nodes {
		slots := n.slots
		h.claims[n.id] = &slots
	}
	for ; len(steps) >= 3; steps = steps[3:] {
		h.step(steps[0], steps[1], steps[2])
		h.check()
		h.now = h.now.Add(time.Duration(steps[2]%8) * time.Millisecond)
	}
	h.settle()
}

func (h *history) step(op, a, b byte) {
	x, y := h.nodes[int(a)%len(h.nodes)], h.nodes[int(b)%len(h.nodes)]
	switch op % 16 {
	case 0, 1, 2, 3:
		gossip(x, y)
	case 4:
		x.up = !x.up || b%2 == 0 // it is back, or it is gone
	case 5:
		if k, known := x.table[x.line.Master]; x.up && known && !k.slots.Empty() {
			h.promote(x.name)
		}
	case 6, 7:
		if x.up && x.line.Flags.Has(FlagMaster) && !x.slots.Empty() {
			h.reshard(uint16(b)%12, x.name)
		}
	case 8: // the source of a reshard is told
		for s := range x.slots.All() {
			if y.slots.Has(s) && x != y && y.line.Epoch > x.line.Epoch {
				x.slots.Remove(s)
				x.give(s, y.id)
			}
		}
	case 9, 10, 11, 12:
		h.under = append(h.under, x.view(h.world))
	default:
		h.deliver(int(a), b%8 == 0)
	}
}

// deliver lets one of the answers under way arrive, or not.
func (h *history) deliver(i int, lost bool) {
	if len(h.under) == 0 {
		return
	}
	i %= len(h.under)
	v := h.under[i]
	h.under = append(h.under[:i:i], h.under[i+1:]...)
	if lost {
		return
	}
	if v.Fault == FaultNone && v.Says.master() {
		h.claims[v.Says.Self.ID].AddSet(v.Says.Slots)
	}
	v.At = h.now
	h.feed(v)
}

func (h *history) check() {
	h.t.Helper()
	for _, sh := range h.d.Shards {
		beyond := *sh.Slots
		beyond.RemoveSet(h.claims[sh.Master.ID])
		if !beyond.Empty() {
			h.t.Fatalf("%s owns %s, which it never claimed itself", h.nameOf(sh.Master.ID), &beyond)
		}
		g := generation{sh.Number, sh.Generation}
		if was, ok := h.masters[g]; ok && was != sh.Master.ID {
			h.t.Fatalf("shard %d has two masters in generation %d", sh.Number, sh.Generation)
		}
		h.masters[g] = sh.Master.ID
	}
}

// settle lets all nodes that are up hear of each other, and asks them.
func (h *history) settle() {
	h.t.Helper()
	for range 4 {
		h.gossipAll()
	}
	h.under = nil
	for range 3 {
		for _, n := range h.nodes {
			h.now = h.now.Add(5 * time.Millisecond)
			h.under = append(h.under[:0], n.view(h.world))
			h.deliver(0, false)
			h.check()
		}
	}
	for s := range uint16(12) {
		owner := h.nameOf(h.shard(s).Master.ID)
		var claims []string
		for _, n := range h.nodes {
			if n.up && n.slots.Has(s) {
				claims = append(claims, n.name)
			}
		}
		switch {
		case len(claims) > 1:
			h.t.Fatalf("slot %d is claimed by %v for ever: the model is wrong", s, claims)
		case len(claims) == 1 && owner != claims[0] && h.shard(s).Number != 0 && !h.node(owner).up && h.witnesses(claims[0]) < 2:
			// Who died has told us alone that it was the owner, under a higher epoch. Too
			// few others are left to say that nobody else believes it: no write is sent.
			if h.shard(s).Writes() {
				h.t.Fatalf("slot %d: writes are sent to %s, which is down", s, owner)
			}
		case len(claims) == 1 && owner != claims[0]:
			h.t.Fatalf("slot %d is %s's, and we say %q's: %s", s, claims[0], owner, h.text())
		case len(claims) == 0 && h.shard(s).Number != 0 && h.node(owner).up && h.node(owner).line.Flags.Has(FlagMaster):
			h.t.Fatalf("slot %d is nobody's, and we say %q's: %s", s, owner, h.text())
		}
	}
}

// witnesses is how many masters with slots are up beside a node.
func (h *history) witnesses(name string) int {
	n := 0
	for _, x := range h.nodes {
		if x.name != name && x.up && !x.slots.Empty() {
			n++
		}
	}
	return n
}
