package redisproc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Step is how far the move of a slot goes.
type Step int

const (
	Done   Step = iota // the whole of it
	Marked             // the target is importing, the source is migrating, and no key has moved
	Half               // half of the keys have moved, at least one if there is any
	Moved              // all keys have moved, and nobody has been told that the slot has
	Told               // the target has been told that the slot is its own, and nobody else has
)

// migrateBatch is how many keys go in one MIGRATE.
const migrateBatch = 50

// Reshard moves slots with their keys, one after the other, as redis-cli does it. The last of them stops at the
// step until. Calling it again goes on from there.
func (c *Cluster) Reshard(ctx context.Context, from, to *Process, slots SlotRange, until Step) error {
	m, err := c.newMover(ctx, from, to)
	if err != nil {
		return fmt.Errorf("reshard: %w", err)
	}
	for slot := slots.First; slot <= slots.Last && err == nil; slot++ {
		step := Done
		if slot == slots.Last {
			step = until
		}
		if err = m.move(ctx, slot, step); err != nil {
			err = fmt.Errorf("reshard: slot %d: %w", slot, err)
		}
	}
	return errors.Join(err, m.close())
}

// ThereAndBack moves a slot to another node and back within a few milliseconds: between two looks at the cluster nothing
// seems to have happened.
func (c *Cluster) ThereAndBack(ctx context.Context, from, to *Process, slot int) error {
	there, err := c.newMover(ctx, from, to)
	if err != nil {
		return fmt.Errorf("there and back: %w", err)
	}
	back, err := c.newMover(ctx, to, from)
	if err != nil {
		return fmt.Errorf("there and back: %w", errors.Join(err, there.close()))
	}
	if err = there.move(ctx, slot, Done); err == nil {
		err = back.move(ctx, slot, Done)
	}
	if err != nil {
		err = fmt.Errorf("there and back: slot %d: %w", slot, err)
	}
	return errors.Join(err, there.close(), back.close())
}

// Abandon ends the moves of slots that were not finished: whoever owns a slot keeps it, and keys that have moved
// already are out of reach. (A key that is on a node which does not own its slot stays there unseen.)
func (c *Cluster) Abandon(ctx context.Context, slots SlotRange) error {
	var commands [][]string
	for s := slots.First; s <= slots.Last; s++ {
		commands = append(commands, []string{"CLUSTER", "SETSLOT", fmt.Sprint(s), "STABLE"})
	}
	if len(commands) == 0 {
		return nil
	}
	return each(c.Masters(ctx), func(_ int, p *Process) error {
		conn, err := p.Connect(ctx)
		if err != nil {
			return err
		}
		return errors.Join(conn.all(ctx, commands...), conn.Close())
	})
}

// mover moves slots between two nodes, over connections of its own.
type mover struct {
	from, to     *Conn
	fromID, toID string
	others       []*Conn // the masters besides
	migrate      []string
}

func (c *Cluster) newMover(ctx context.Context, from, to *Process) (_ *mover, err error) {
	m := &mover{}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if m.fromID, err = c.id(ctx, from); err != nil {
		return nil, err
	}
	if m.toID, err = c.id(ctx, to); err != nil {
		return nil, err
	}
	if m.from, err = from.Connect(ctx); err != nil {
		return nil, err
	}
	if m.to, err = to.Connect(ctx); err != nil {
		return nil, err
	}
	for _, p := range c.Masters(ctx) {
		if p == from || p == to {
			continue
		}
		conn, err := p.Connect(ctx)
		if err != nil {
			return nil, err
		}
		m.others = append(m.others, conn)
	}
	m.migrate, err = migrateCommand(to)
	return m, err
}

// migrateCommand is MIGRATE without the keys.
func migrateCommand(to *Process) ([]string, error) {
	host, port, err := net.SplitHostPort(to.Addr())
	if err != nil {
		return nil, err
	}
	command := []string{"MIGRATE", host, port, "", "0", millis(commandTimeout)}
	switch auth := to.auth(); len(auth) {
	case 2:
		command = append(command, auth...)
	case 3:
		command = append(command, "AUTH2", auth[1], auth[2])
	}
	return append(command, "KEYS"), nil
}

func (m *mover) close() error {
	var errs []error
	for _, c := range append([]*Conn{m.from, m.to}, m.others...) {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// move goes through the steps of one slot.
func (m *mover) move(ctx context.Context, slot int, until Step) error {
	s := fmt.Sprint(slot)
	moved, err := m.mark(ctx, s)
	if err != nil || until == Marked {
		return err
	}
	if !moved {
		if err := m.moveKeys(ctx, s, until == Half); err != nil || until == Half || until == Moved {
			return err
		}
	}
	return m.tell(ctx, s, until == Told)
}

// mark announces the move to both nodes. moved: an earlier move had got as far as Told.
func (m *mover) mark(ctx context.Context, slot string) (moved bool, err error) {
	_, err = m.to.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", m.fromID)
	if e, ok := errors.AsType[ReplyError](err); ok && strings.Contains(string(e), "already the owner") {
		return true, nil
	}
	if err == nil {
		_, err = m.from.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", m.toID)
	}
	return false, err
}

// tell gives the slot to the target, there first: were the source told first, nobody would own the slot if this
// ended in between.
func (m *mover) tell(ctx context.Context, slot string, targetOnly bool) error {
	all := append([]*Conn{m.to, m.from}, m.others...)
	if targetOnly {
		all = all[:1]
	}
	for _, conn := range all {
		if _, err := conn.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", m.toID); err != nil {
			return err
		}
	}
	return nil
}

// moveKeys moves what is in the slot, or half of it.
func (m *mover) moveKeys(ctx context.Context, slot string, half bool) error {
	left := -1 // all
	if half {
		reply, err := m.from.Do(ctx, "CLUSTER", "COUNTKEYSINSLOT", slot)
		if err != nil {
			return err
		}
		n, _ := reply.(int64)
		left = (int(n) + 1) / 2
	}
	for left != 0 {
		limit := migrateBatch
		if left > 0 {
			limit = min(limit, left)
		}
		n, err := m.moveBatch(ctx, slot, limit)
		if err != nil || n == 0 {
			return err
		}
		left -= min(n, max(left, 0))
	}
	return nil
}

// moveBatch moves at most limit keys and says how many it was about.
func (m *mover) moveBatch(ctx context.Context, slot string, limit int) (int, error) {
	reply, err := m.from.Do(ctx, "CLUSTER", "GETKEYSINSLOT", slot, fmt.Sprint(limit))
	if err != nil {
		return 0, err
	}
	list, ok := reply.([]any)
	if !ok {
		return 0, fmt.Errorf("GETKEYSINSLOT: %w", errStrange)
	}
	if len(list) == 0 {
		return 0, nil
	}
	_, err = m.from.Do(ctx, append(m.migrate[:len(m.migrate):len(m.migrate)], texts(list)...)...)
	return len(list), err
}
