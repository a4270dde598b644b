package backup

import (
	"context"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// waitABit is the pause before the masters are looked for again.
func waitABit(ctx context.Context) error {
	if remote.Pause(ctx, 200*time.Millisecond) != nil {
		return errInterrupted
	}
	return nil
}

// attempt sends what is not done to the masters, and waits for their replicas. After an
// error all of it is to be sent again: the next master may not have it.
func (r *restore) attempt(ctx context.Context, b *batch) error {
	if err := r.set.connect(ctx); err != nil {
		return err
	}
	if err := r.try(ctx, b); err != nil {
		return err
	}
	parts := map[*master][]*item{}
	var order []*master
	for k := range b.items {
		i := &b.items[k]
		m := r.set.masterOf(i.Key)
		if i.ExpireAt > 0 && i.ExpireAt <= m.now() && i.got == undone && !i.doubt {
			i.got = expired
		}
		if i.got == expired || i.got == refused {
			continue
		}
		if parts[m] == nil {
			order = append(order, m)
		}
		parts[m] = append(parts[m], i)
	}
	for _, m := range order {
		if err := r.part(ctx, m, parts[m]); err != nil {
			return fmt.Errorf("%s: %w", m.addr, err)
		}
	}
	for _, m := range order {
		if err := r.set.safe(ctx, m, r.Patience); err != nil {
			return fmt.Errorf("%s: %w", m.addr, err)
		}
	}
	return nil
}

// part sends what belongs to one master.
func (r *restore) part(ctx context.Context, m *master, items []*item) error {
	var plain []*item
	for _, i := range items {
		if !isDenylistSet(i.Key) {
			plain = append(plain, i)
		}
	}
	commands := make([][]string, len(plain))
	bytes := int64(0)
	for k, i := range plain {
		replace := r.Replace && denylist(i.Key) == ""
		commands[k] = i.command(replace)
		bytes += i.size()
	}
	r.set.wrote = true
	if len(plain) > 0 {
		replies, err := m.link.Once(ctx, timeFor(bytes), commands...)
		if err != nil {
			doubt(plain)
			return err
		}
		if err := r.judge(ctx, m, plain, replies); err != nil {
			return err
		}
	}
	for _, i := range items {
		if !isDenylistSet(i.Key) {
			continue
		}
		reply, err := m.unmarked(ctx, i)
		if err != nil {
			doubt([]*item{i})
			return err
		}
		if err := r.judge(ctx, m, []*item{i}, []remote.Reply{reply}); err != nil {
			return err
		}
	}
	return nil
}

// doubt notes that nobody knows whether these got there.
func doubt(items []*item) {
	for _, i := range items {
		i.doubt = true
	}
}

// judge notes what has become of items, by the replies.
func (r *restore) judge(ctx context.Context, m *master, items []*item, replies []remote.Reply) error {
	var later error
	for k, i := range items {
		got, lasting, again := i.after(replies[k].Err)
		switch {
		case lasting:
			return lastingError(replies[k].Err)
		case again:
			later = replies[k].Err
			continue
		case got == refused:
			i.why = replies[k].Err.Error()
		case got == existed && i.doubt:
			same, err := m.holds(ctx, i.Record)
			if err != nil {
				return err
			}
			if same { // an attempt without an answer has brought it
				got = restored
			}
		}
		i.got, i.doubt = got, false
	}
	return later
}

// lastingError is an error that ends the restore, with what to do.
func lastingError(err error) error {
	what := "look at the reply, then go on with --resume"
	switch remote.KindOf(err) {
	case remote.OOM:
		what = "raise maxmemory, or free memory, then go on with --resume"
	case remote.Misconf:
		what = "the server cannot save: look at its disk, then go on with --resume"
	case remote.NoPerm, remote.Auth, remote.Lacks:
		what = "a restore needs the rights +restore +unlink +dump +wait +dbsize +info +role +time on all keys, and for a denylist of tokens +exists +pexpire +pexpireat +persist +zrangebyscore +zrem +zadd +renamenx"
	}
	return &refusal{fmt.Errorf("RESTORE: %w: %s", err, what)}
}

// holds reports whether a key holds just what the record does.
func (m *master) holds(ctx context.Context, rec Record) (bool, error) {
	replies, err := m.link.Once(ctx, timeFor(rec.size()), []string{"DUMP", rec.Key})
	if err != nil {
		return false, err
	}
	return replies[0].Text() == string(rec.Payload), nil
}

// try finds out whether the target takes payloads of the RDB versions in a batch that it has
// not been asked about.
func (r *restore) try(ctx context.Context, b *batch) error {
	if r.tried == nil {
		r.tried = map[int]bool{}
	}
	for k := range b.items {
		rec := b.items[k].Record
		if v := rec.RDBVersion(); !r.tried[v] {
			if err := r.set.takes(ctx, rec); err != nil {
				return err
			}
			r.tried[v] = true
		}
	}
	return nil
}
