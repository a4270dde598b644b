package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/redisproc"
)

// keyPrefix stands before the ids in the Redis of those who ask EXISTS.
const keyPrefix = "revoked:"

// lists are the same revocations twice: as evercache stores them, and as keys
// that expire. Each has a server of its own.
type lists struct {
	entries           int
	ours, plain       *redisproc.Process
	oursEach, keyEach float64 // bytes of Redis per entry
}

func (o options) measureLists(ctx context.Context, r *report) (err error) {
	ls, err := startLists(ctx, o.entries)
	if ls != nil {
		defer func() { err = errors.Join(err, ls.close()) }()
	}
	if err != nil {
		return err
	}
	if o.has("memory") {
		if r.Memory, err = ls.weigh(ctx); err != nil {
			return fmt.Errorf("memory: %w", err)
		}
	}
	if o.has("snapshot") {
		if r.Snapshot, err = o.measureSnapshots(ctx, ls); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
	}
	if o.has("check") {
		if r.Check, err = o.measureChecks(ctx, ls); err != nil {
			return fmt.Errorf("check: %w", err)
		}
	}
	return nil
}

func startLists(ctx context.Context, entries int) (*lists, error) {
	ls := &lists{entries: entries}
	var err error
	if ls.ours, err = redisproc.Start(ctx, redisproc.Options{}); err != nil {
		return ls, err
	}
	if ls.plain, err = redisproc.Start(ctx, redisproc.Options{}); err != nil {
		return ls, err
	}
	tell("filling the lists with %d revocations", entries)
	began := time.Now()
	ls.oursEach, err = ls.grows(ctx, ls.ours, func() error { return ls.place().fill(ctx, entries) })
	if err != nil {
		return ls, err
	}
	tell("  evercache's, one by one: %v", time.Since(began).Round(time.Millisecond))
	ls.keyEach, err = ls.grows(ctx, ls.plain, func() error { return ls.fillPlain(ctx) })
	return ls, err
}

func (ls *lists) place() place { return place{Addr: ls.ours.Addr()} }

func (ls *lists) close() (err error) {
	for _, p := range []*redisproc.Process{ls.ours, ls.plain} {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// grows is by how many bytes an entry a server grows through fill.
func (ls *lists) grows(ctx context.Context, p *redisproc.Process, fill func() error) (float64, error) {
	before, err := usedMemory(ctx, p)
	if err != nil {
		return 0, err
	}
	if err := fill(); err != nil {
		return 0, err
	}
	after, err := usedMemory(ctx, p)
	return (after - before) / float64(ls.entries), err
}

func usedMemory(ctx context.Context, p *redisproc.Process) (float64, error) {
	reply, err := p.Do(ctx, "INFO", "memory")
	if err != nil {
		return 0, err
	}
	text, _ := reply.(string)
	_, rest, _ := strings.Cut(text, "used_memory:")
	digits, _, _ := strings.Cut(rest, "\r")
	return strconv.ParseFloat(digits, 64)
}

const fillBatch = 1000

// fillPlain stores the ids as keys with SET EX.
func (ls *lists) fillPlain(ctx context.Context) error {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{ls.plain.Addr()}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		return err
	}
	defer client.Close()
	for i := 0; i < ls.entries; {
		var batch rueidis.Commands
		for ; i < ls.entries && len(batch) < fillBatch; i++ {
			batch = append(batch, client.B().Set().Key(keyPrefix+id(i)).Value("1").Ex(life).Build())
		}
		for _, r := range client.DoMulti(ctx, batch...) {
			if err := r.Error(); err != nil {
				return fmt.Errorf("SET: %w", err)
			}
		}
	}
	return nil
}
