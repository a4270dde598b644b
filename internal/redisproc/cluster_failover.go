package redisproc

import (
	"context"
	"errors"
	"fmt"
)

// Handover is how a replica is made the master.
type Handover string

const (
	Planned  Handover = ""         // the master takes part: it waits until the replica has everything
	Forced   Handover = "FORCE"    // without the master, with the votes of the other masters
	Takeover Handover = "TAKEOVER" // without anybody's consent: what the master took meanwhile is lost
)

// Failover begins to make replica the master of the shard it belongs to. It does not wait for the end: WaitMaster
// does. A planned one that finds its master dead or paused comes to nothing after five seconds.
func (c *Cluster) Failover(ctx context.Context, replica *Process, how Handover) error {
	command := []string{"CLUSTER", "FAILOVER"}
	if how != Planned {
		command = append(command, string(how))
	}
	if _, err := replica.Do(ctx, command...); err != nil {
		return fmt.Errorf("failover to %s: %w", replica.Addr(), err)
	}
	return nil
}

// StealSlot gives slot to thief without asking its owner, as "redis-cli --cluster fix" or two administrators at
// once may do. The thief's epoch is then above all others, so everybody follows. The owner deletes its keys of the
// slot when it hears of it, and Redis 7.0 announces those deletes to nobody.
func (c *Cluster) StealSlot(ctx context.Context, thief *Process, slot int) error {
	id, err := c.id(ctx, thief)
	if err != nil {
		return err
	}
	owner := c.look(ctx).owner(slot)
	if owner == nil || owner.node == thief {
		return fmt.Errorf("steal slot %d: no other node owns it", slot)
	}
	conn, err := thief.Connect(ctx)
	if err != nil {
		return err
	}
	s := fmt.Sprint(slot)
	err = conn.all(
		ctx,
		[]string{"CLUSTER", "SETSLOT", s, "IMPORTING", owner.self.id},
		[]string{"CLUSTER", "SETSLOT", s, "NODE", id},
		[]string{"CLUSTER", "BUMPEPOCH"},
	)
	if err = errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("steal slot %d: %w", slot, err)
	}
	return nil
}
