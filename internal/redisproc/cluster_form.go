package redisproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// form makes a cluster of nodes that know nothing of each other, without redis-cli.
func (c *Cluster) form(ctx context.Context) error {
	if err := each(c.nodes, func(i int, p *Process) error { return c.prepareNode(ctx, i, p) }); err != nil {
		return err
	}
	if err := each(c.nodes, func(i int, p *Process) error { return c.meet(ctx, i, p) }); err != nil {
		return err
	}
	replicas := c.nodes[c.options.Masters:]
	if err := each(replicas, func(i int, p *Process) error {
		return c.replicate(ctx, p, c.nodes[i%c.options.Masters])
	}); err != nil {
		return err
	}
	return c.WaitHealthy(ctx)
}

// prepareNode gives each node an epoch of its own, lest the masters need to agree on who gives way, and each
// master its slots.
func (c *Cluster) prepareNode(ctx context.Context, i int, p *Process) error {
	if _, err := c.id(ctx, p); err != nil {
		return err
	}
	if _, err := p.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1)); err != nil {
		return err
	}
	if i >= c.options.Masters {
		return nil
	}
	return addSlots(ctx, p, share(i, c.options.Masters))
}

func addSlots(ctx context.Context, p *Process, r SlotRange) error {
	_, err := p.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(r.First), fmt.Sprint(r.Last))
	if !unknownCommand(err) {
		return err
	}
	command := []string{"CLUSTER", "ADDSLOTS"} // before Redis 7
	for slot := r.First; slot <= r.Last; slot++ {
		command = append(command, fmt.Sprint(slot))
	}
	_, err = p.Do(ctx, command...)
	return err
}

// meet introduces node i to those after it. Gossip would do most of this, in more time.
func (c *Cluster) meet(ctx context.Context, i int, p *Process) error {
	for _, other := range c.nodes[i+1:] {
		if _, err := p.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(other.Port()), fmt.Sprint(other.Port()+busDistance)); err != nil {
			return err
		}
	}
	return nil
}

// replicate makes p a replica of master as soon as p has heard of it.
func (c *Cluster) replicate(ctx context.Context, p, master *Process) error {
	id, err := c.id(ctx, master)
	if err != nil {
		return err
	}
	for {
		_, err := p.Do(ctx, "CLUSTER", "REPLICATE", id)
		if _, refused := errors.AsType[ReplyError](err); !refused {
			return err
		}
		if end := pause(ctx, 10*time.Millisecond); end != nil {
			return errors.Join(end, err)
		}
	}
}

// Rebuild destroys the cluster and makes another one of the same processes, as CLUSTER RESET HARD does it:
// the addresses stay, the data and all node ids go. The first masters are masters again. Every node must run.
func (c *Cluster) Rebuild(ctx context.Context) error {
	if err := c.Reset(ctx); err != nil {
		return err
	}
	return c.form(ctx)
}

// Reset makes every node one that belongs to no cluster, without data and with another id.
func (c *Cluster) Reset(ctx context.Context) error {
	return each(c.nodes, func(_ int, p *Process) error { return reset(ctx, p) })
}

// reset: a master that holds keys refuses, and a replica cannot be emptied by itself.
func reset(ctx context.Context, p *Process) error {
	for {
		replies, err := p.Pipeline(ctx, []string{"FLUSHALL"}, []string{"CLUSTER", "RESET", "HARD"})
		if err != nil {
			return err
		}
		if err = replyError(replies[1]); err == nil {
			return nil
		}
		if end := pause(ctx, 10*time.Millisecond); end != nil {
			return errors.Join(end, p.explain([]string{"CLUSTER RESET"}, err))
		}
	}
}

// Replace ends a node and starts another one at its address: without data, with another id, and in no
// cluster. The cluster goes on looking for the old one.
func (c *Cluster) Replace(ctx context.Context, p *Process) error {
	if err := p.Kill(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(p.Dir(), nodesFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace %s: %w", p.Addr(), err)
	}
	if err := p.Restart(ctx, Empty); err != nil {
		return err
	}
	_, err := c.id(ctx, p)
	return err
}

// unknownCommand says that the server is too old for a command, or of another make.
func unknownCommand(err error) bool {
	e, ok := errors.AsType[ReplyError](err)
	return ok && unknown.MatchString(string(e))
}
