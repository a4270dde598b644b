package redistest

import (
	"context"
	"errors"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// Failover begins a planned failover (CLUSTER FAILOVER): replica becomes the master, and nothing is lost. It does not wait for
// that: WaitMaster does.
func (c *Cluster) Failover(replica *Server) {
	c.tb.Helper()
	must(c.tb, c.cluster.Failover(context.Background(), replica.process, redisproc.Planned))
}

// ForceFailover is Failover without the master, which may be dead or paused; the other masters must agree.
func (c *Cluster) ForceFailover(replica *Server) {
	c.tb.Helper()
	must(c.tb, c.cluster.Failover(context.Background(), replica.process, redisproc.Forced))
}

// Takeover is Failover without anybody's consent (CLUSTER FAILOVER TAKEOVER). What a living master takes until it
// hears of it, some milliseconds later, is lost.
func (c *Cluster) Takeover(replica *Server) {
	c.tb.Helper()
	must(c.tb, c.cluster.Failover(context.Background(), replica.process, redisproc.Takeover))
}

// Step is where ReshardUntil stops.
type Step int

const (
	// Marked: the target says that it imports the slot, the source that it migrates it; no key has moved.
	Marked = Step(redisproc.Marked)
	// Half: half of the slot's keys have moved too, at least one if there is any.
	Half = Step(redisproc.Half)
	// Moved: all keys have moved, and nobody has been told that the slot has.
	Moved = Step(redisproc.Moved)
	// Told: the target has been told that the slot is its own. The others hear of it from the target.
	Told = Step(redisproc.Told)
)

// Reshard moves slots with their keys from one master to another, slot after slot, as redis-cli does it. What was
// begun by ReshardUntil it completes.
func (c *Cluster) Reshard(from, to *Server, slots SlotRange) {
	c.tb.Helper()
	c.reshard(from, to, slots, redisproc.Done)
}

// ReshardUntil is Reshard, interrupted in the last of the slots.
func (c *Cluster) ReshardUntil(step Step, from, to *Server, slots SlotRange) {
	c.tb.Helper()
	c.reshard(from, to, slots, redisproc.Step(step))
}

func (c *Cluster) reshard(from, to *Server, slots SlotRange, until redisproc.Step) {
	c.tb.Helper()
	must(c.tb, c.cluster.Reshard(context.Background(), from.process, to.process, redisproc.SlotRange(slots), until))
}

// ThereAndBack moves a slot to another master and back within a few milliseconds. Who looks at the cluster before and
// after sees the same owner, whose epoch has risen.
func (c *Cluster) ThereAndBack(from, to *Server, slot int) {
	c.tb.Helper()
	must(c.tb, c.cluster.ThereAndBack(context.Background(), from.process, to.process, slot))
}

// TryReshard is Reshard for when a node may be away, and may be called from any goroutine. It ends when ctx does.
func (c *Cluster) TryReshard(ctx context.Context, from, to *Server, slots SlotRange) error {
	return c.cluster.Reshard(ctx, from.process, to.process, redisproc.SlotRange(slots), redisproc.Done)
}

// Abandon makes the masters forget that these slots are moving (SETSLOT STABLE). Each slot stays with its owner. Keys
// that have moved already cannot be reached any more.
func (c *Cluster) Abandon(slots SlotRange) {
	c.tb.Helper()
	must(c.tb, c.cluster.Abandon(context.Background(), redisproc.SlotRange(slots)))
}

// atomicPatience bounds AtomicReshard.
const atomicPatience = time.Minute

// AtomicReshard moves slots with their keys in one piece, without redirections in between, and returns when the target owns
// them. Valkey can since version 9 (CLUSTER MIGRATESLOTS), Redis since 8.4 (CLUSTER MIGRATION); of another server it is the
// error errors.ErrUnsupported. Every other error ends the test.
func (c *Cluster) AtomicReshard(from, to *Server, slots SlotRange) error {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), atomicPatience)
	defer cancel()
	err := c.cluster.AtomicReshard(ctx, from.process, to.process, redisproc.SlotRange(slots))
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	must(c.tb, err)
	return nil
}

// StealSlot gives a slot to thief without its owner (SETSLOT NODE and BUMPEPOCH on the thief alone), as a repair by hand
// may do. Everybody follows within moments. The owner deletes its keys of the slot then; Redis 7.0 announces that to
// nobody.
func (c *Cluster) StealSlot(thief *Server, slot int) {
	c.tb.Helper()
	must(c.tb, c.cluster.StealSlot(context.Background(), thief.process, slot))
}

// Replace ends a node and starts another one at its address: without data, with another id, in no cluster.
// The cluster goes on looking for the old one.
func (c *Cluster) Replace(node *Server) {
	c.tb.Helper()
	must(c.tb, c.cluster.Replace(context.Background(), node.process))
}

// Rebuild destroys the cluster (CLUSTER RESET HARD everywhere) and makes another one of the same nodes, as at the start: the
// addresses stay, the data and all node ids go. It returns when that is healthy. Every node must run.
func (c *Cluster) Rebuild() {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must(c.tb, c.cluster.Rebuild(ctx))
}
