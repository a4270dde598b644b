package redisproc

import (
	"context"
	"errors"
	"fmt"
)

// AtomicReshard moves slots as one, where the server can do that: CLUSTER MIGRATESLOTS of Valkey 9, CLUSTER
// MIGRATION of Redis 8.4. It returns when the target owns them. Another server's error wraps
// errors.ErrUnsupported.
func (c *Cluster) AtomicReshard(ctx context.Context, from, to *Process, slots SlotRange) error {
	if err := c.beginAtomic(ctx, from, to, slots); err != nil {
		return fmt.Errorf("atomic reshard: %w", err)
	}
	_, err := c.watch(ctx, func(v clusterView) bool {
		for s := slots.First; s <= slots.Last; s++ {
			if m := v.owner(s); m == nil || m.node != to {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("atomic reshard of slots %d to %d to %s: %w", slots.First, slots.Last, to.Addr(), err)
	}
	return nil
}

// beginAtomic asks the source as Valkey has it, then the target as Redis has it.
func (c *Cluster) beginAtomic(ctx context.Context, from, to *Process, slots SlotRange) error {
	id, err := c.id(ctx, to)
	if err != nil {
		return err
	}
	first, last := fmt.Sprint(slots.First), fmt.Sprint(slots.Last)
	_, err = from.Do(ctx, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, last, "NODE", id)
	if !unknownCommand(err) {
		return err
	}
	_, err = to.Do(ctx, "CLUSTER", "MIGRATION", "IMPORT", first, last)
	if unknownCommand(err) {
		return errors.Join(errors.ErrUnsupported, err)
	}
	return err
}
