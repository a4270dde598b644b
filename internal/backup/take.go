package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/survey"
)

const (
	attempts     = 3 // of a whole backup
	pauseBetween = time.Second
	passes       = 3 // over slots of a Cluster that move
)

// Take copies the set into a file with this name. The file is there when it is complete,
// and not before. A server that is lost meanwhile costs a new beginning, twice at most.
func Take(ctx context.Context, t survey.Target, name string, overwrite bool, o Options) (Result, error) {
	if _, err := os.Lstat(name); err == nil && !overwrite {
		return Result{}, exists(name)
	}
	for n := 1; ; n++ {
		res, err := takeOnce(ctx, t, name, overwrite, o)
		switch {
		case err == nil:
			return res, nil
		case ctx.Err() != nil:
			return Result{}, errInterrupted
		case n == attempts || lasting(err):
			return Result{}, err
		}
		if remote.Pause(ctx, pauseBetween) != nil {
			return Result{}, errInterrupted
		}
	}
}

// lasting reports whether another attempt would be no use.
func lasting(err error) bool {
	if _, ok := errors.AsType[*writeError](err); ok {
		return true
	}
	_, ok := errors.AsType[*refusal](err)
	return ok
}

func takeOnce(ctx context.Context, t survey.Target, name string, overwrite bool, o Options) (res Result, err error) {
	t0 := time.Now()
	all, err := shardsOf(survey.Take(ctx, t))
	if err != nil {
		return Result{}, err
	}
	f, err := create(name)
	if err != nil {
		return Result{}, &writeError{err}
	}
	defer func() {
		if err != nil {
			f.abandon()
		}
	}()
	o.mode, o.db, o.KeyPrefix = t.Mode, t.DB(), t.KeyPrefix
	if o.Rate > 0 {
		o.limit = rate.NewLimiter(rate.Limit(o.Rate), o.atOnce())
	}
	c := copying{Options: o, target: t, tell: o.counter(all)}
	c.w, err = NewWriter(f, Header{
		Evercache: o.Version, Began: t0.UTC(), Mode: t.Mode.String(), DB: t.DB(), KeyPrefix: t.KeyPrefix, Match: o.Match, Prefix: o.Prefix,
	}, o.Gzip)
	if err != nil {
		return Result{}, &writeError{err}
	}
	moving, err := c.passes(ctx, all)
	if err != nil {
		return Result{}, err
	}
	foot, err := c.w.Close(c.tooLarge, moving, time.Now().UTC())
	if err != nil {
		return Result{}, &writeError{err}
	}
	info, err := f.Stat()
	if err == nil {
		err = f.commit(overwrite)
	}
	if err != nil {
		return Result{}, &writeError{err}
	}
	took := time.Since(t0)
	return Result{File: name, Began: t0, Took: took, Seconds: took.Seconds(), Size: info.Size(), Footer: foot, Sources: c.sources}, nil
}

// counter tells of each record, and of about how many there will be.
func (o Options) counter(all []shard) func(Record) {
	if o.Progress == nil {
		return func(Record) {}
	}
	var total, records, bytes int64
	if o.Match == "" && o.Prefix == "" {
		for _, sh := range all {
			total += keysOf(sh.master, o.db)
		}
	}
	return func(r Record) {
		records++
		bytes += r.size()
		o.Progress(records, bytes, total)
	}
}

// copying is one attempt.
type copying struct {
	Options
	target   survey.Target
	w        *Writer
	tooLarge int64
	sources  []string
	tell     func(Record)
}

// passes copies all shards, one after the other, and then again the slots that have moved
// meanwhile. It returns how many have not come to rest.
func (c *copying) passes(ctx context.Context, all []shard) (moving int, err error) {
	for n := 1; ; n++ {
		gone := unsettled(all)
		for _, sh := range all {
			if err := c.shard(ctx, sh, gone); err != nil {
				return 0, err
			}
		}
		if c.target.Mode != health.ModeCluster {
			return 0, nil
		}
		now, err := shardsOf(survey.Take(ctx, c.target))
		if err != nil {
			return 0, err
		}
		gone.AddSet(changed(all, now))
		gone.AddSet(unsettled(now))
		if gone.Empty() || n == passes {
			return gone.Len(), nil
		}
		if remote.Pause(ctx, pauseBetween) != nil {
			return 0, errInterrupted
		}
		if now, err = shardsOf(survey.Take(ctx, c.target)); err != nil {
			return 0, err
		}
		all = only(now, gone)
	}
}

// only are the shards, with these of their slots.
func only(all []shard, left *slot.Set) []shard {
	var some []shard
	for _, sh := range all {
		kept := *sh.slots
		if kept.Keep(left); !kept.Empty() {
			sh.slots = &kept
			some = append(some, sh)
		}
	}
	return some
}

// shard copies one, from the best of its nodes.
func (c *copying) shard(ctx context.Context, sh shard, gone *slot.Set) error {
	from, err := sh.sources(c.target.Mode, c.FromMaster)
	if err != nil {
		return err
	}
	link, err := remote.DialValues(ctx, c.target.NodeConfig(addr(from[0]), dialLimit))
	if err != nil {
		return fmt.Errorf("%s: %w", from[0].Addr, err)
	}
	defer link.Close()
	r := reading{
		from: sh.master.Role.Offset,
		o:    c.Options, link: link, node: from[0], w: c.w, gone: gone, tell: c.tell,
		f: filter{keyPrefix: c.KeyPrefix, prefix: c.Prefix, slots: sh.slots},
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	c.tooLarge += r.tooLarge
	if !slices.Contains(c.sources, from[0].Addr) {
		c.sources = append(c.sources, from[0].Addr)
	}
	return nil
}
