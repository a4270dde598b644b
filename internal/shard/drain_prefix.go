package shard

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
)

// prefixSteps is how many steps of a sweep are taken before records have a turn
// again: to go over a large keyspace takes minutes.
const prefixSteps = 50

// sweep is one way over the keyspace for all prefixes that waited when it began,
// of whatever class. It leaves their marks first.
type sweep struct {
	prefixes []outbox.Prefix
	index    outbox.Prefixes
	classes  map[string]bool        // what the keys of their classes begin with
	joined   bool                   // some are of no one class
	dates    map[uint64]remote.Cond // by Seq
	failed   map[uint64]bool        // the master refuses to delete a key under them
	marked   int
	cursor   uint64
	noted    func(taken bool) // see undone.watch

	lies       *slotsOf  // in Cluster mode: the slots of the shard when it began; nil elsewhere
	slots      *slot.Set // those that it goes over
	generation uint32    // of the ledger, when it began
}

// prefixes goes some way for all that wait; more: there is more to go. Where the
// master refuses something, each class goes its own way from then on, so that those
// that it allows are deleted.
func (d *drainage) prefixes(ctx context.Context) (more bool, _ error) {
	d.lies = d.shard.slots.Load()
	groups, waiting := d.waiting()
	for _, group := range groups {
		s := d.sweeps[group]
		if s == nil {
			s = d.newSweep(waiting[group])
			d.sweeps[group] = s
		}
		done, err := d.sweep(ctx, s)
		switch k := remote.KindOf(err); {
		case done:
			delete(d.sweeps, group)
			more = d.endSweep(s) || more
		case (k == remote.Logical || k.Refused()) && !d.apart:
			delete(d.sweeps, group)
			s.noted(false)
			d.apart, more = true, true
		case k == remote.Logical || k.Refused():
			delete(d.sweeps, group)
			s.noted(false)
			d.left = err
			for _, p := range s.prefixes {
				d.failed[p.Seq] = true
			}
			more = true // others may have come
		case err != nil:
			return false, err
		default:
			more = true
		}
	}
	return more, nil
}

// waiting are the prefixes to try in this pass, and their groups in order: one of
// all, or one for each class.
func (d *drainage) waiting() (groups []string, of map[string][]outbox.Prefix) {
	of = map[string][]outbox.Prefix{}
	var mine *slot.Set
	if d.lies != nil {
		mine = d.lies.settled()
	}
	for _, p := range d.shard.Outbox.Prefixes() {
		if d.failed[p.Seq] || !p.CountsIn(mine) {
			continue
		}
		group := ""
		if d.apart {
			group = d.shard.ClassText(p.Text)
		}
		if of[group] == nil {
			groups = append(groups, group)
		}
		of[group] = append(of[group], p)
	}
	return groups, of
}

// ClassText is what all keys of a prefix' class begin with. A prefix that was made
// of several classes' is a class of its own.
func (st *Store) ClassText(prefix string) string {
	rest := strings.TrimPrefix(prefix, st.Config.KeyPrefix)
	if i := strings.IndexByte(rest, ':'); i >= 0 {
		return prefix[:len(prefix)-len(rest)+i+1]
	}
	return prefix
}

// migrated is how much later a key seems to have been written that was moved to another
// master of a Cluster: MIGRATE gives it the rest of its life, as it was when it left. So a
// write that is sent again in slots that have moved, and a delete of a prefix, reach that
// far. What another process wrote so shortly after it may be deleted too, which is a miss; what
// was written before it must not come back. What this process wrote after it stays: the
// ledger knows.
const migrated = 50 * time.Millisecond

func (d *drainage) newSweep(ps []outbox.Prefix) *sweep {
	s := &sweep{
		prefixes: ps, index: outbox.NewPrefixes(ps), classes: map[string]bool{},
		dates: make(map[uint64]remote.Cond, len(ps)), failed: map[uint64]bool{},
		lies: d.lies, generation: d.shard.Ledger.Generation(),
	}
	if s.lies != nil {
		s.slots = s.lies.settled()
	}
	s.noted = d.shard.undone.watch(s.index.Cover, d.shard.undone.AddDoubt) // what it deletes itself is announced too
	for _, p := range ps {
		s.classes[d.shard.ClassText(p.Text)] = true
		s.joined = s.joined || !strings.Contains(strings.TrimPrefix(p.Text, d.shard.Config.KeyPrefix), ":")
		cond := remote.Cond{Lo: p.Lo, Hi: p.Hi}
		if p.Hi == 0 {
			cond.Lo, cond.Hi = d.made(p.Since)
		}
		d.shard.widen(&cond, p.Since)
		s.dates[p.Seq] = cond
	}
	return s
}

// sweep deletes what is under its prefixes and was not written after them.
func (d *drainage) sweep(ctx context.Context, s *sweep) (done bool, err error) {
	replay := remote.PrefixReplay{
		KeyPrefix: d.shard.Config.KeyPrefix, Prefix: s.index.Common(),
		Cond: remote.Cond{Process: d.shard.process},
		Of: func(key string) (remote.Cond, bool) {
			if !s.mayCover(key, d.shard) || s.slots != nil && !s.slots.Has(slot.Of(key)) {
				return remote.Cond{}, false
			}
			// What waits for a key under the prefix is newer, and settles the key itself.
			_, waits := d.shard.Outbox.Record(key)
			cond, under := s.date(key, d.shard)
			return cond, under && !waits
		},
		Refused: func(key string, err error) {
			d.left = err
			for _, p := range s.index.Over(key) {
				s.failed[p.Seq] = true
			}
		},
	}
	if s.lies != nil {
		replay.Anchor = s.lies.anchor
	}
	for range prefixSteps {
		if s.marked < len(s.prefixes) {
			if err := d.mark(ctx, s); err != nil {
				return false, err
			}
			continue
		}
		_, next, err := d.node.InvalidatePrefixFrom(ctx, replay, s.cursor, d.shard.Config.WriteTimeout)
		if err != nil || next == 0 {
			return err == nil, err
		}
		s.cursor = next
	}
	return false, nil
}

// mayCover is false for a key of no class of the sweep: most keys are, where many
// programs share a Redis.
func (s *sweep) mayCover(key string, sh *Shard) bool {
	return s.joined || s.classes[sh.ClassText(key)]
}

// date is when a key was deleted last, if nothing is known to have been written since.
func (s *sweep) date(key string, sh *Shard) (_ remote.Cond, under bool) {
	over := s.index.Over(key)
	if s.lies != nil {
		over = slices.DeleteFunc(over, func(p outbox.Prefix) bool { return !p.Reaches(key) })
	}
	if len(over) == 0 {
		return remote.Cond{}, false
	}
	latest := over[0]
	for _, p := range over[1:] {
		if p.Since > latest.Since {
			latest = p
		}
	}
	if r, taken := sh.Ledger.Record(key); taken && r.Kind == outbox.Set && r.Since > latest.Since {
		return remote.Cond{}, false // the master has it, or what came after it
	}
	cond := s.dates[latest.Seq]
	if latest.Slots != nil {
		cond.Hi, cond.To = cond.Hi+migrated.Milliseconds(), cond.To+migrated.Milliseconds()
	}
	return cond, true
}

// mark leaves the marks of the next of its prefixes.
func (d *drainage) mark(ctx context.Context, s *sweep) error {
	sh := d.shard
	if s.lies != nil {
		return d.markAnchors(ctx, s)
	}
	next := s.prefixes[s.marked:min(s.marked+remote.MaxBatch, len(s.prefixes))]
	marks := make([]remote.PrefixMark, len(next))
	for i, p := range next {
		marks[i] = remote.PrefixMark{
			Marks: remote.MarksKey(sh.Config.KeyPrefix, p.Text), Rest: remote.RestOf(sh.Config.KeyPrefix, p.Text),
			Process: sh.process, At: s.dates[p.Seq].Hi,
		}
	}
	err := d.node.MarkPrefixes(ctx, marks, sh.Config.WriteTimeout)
	if err == nil {
		s.marked += len(next)
	}
	return err
}

// markAnchors leaves the marks of the next of its prefixes at the anchors of the shard in
// whose slots it is still to be deleted. Whoever has deleted it in the others has left
// them there, and an anchor moves with its slot.
func (d *drainage) markAnchors(ctx context.Context, s *sweep) error {
	sh, p := d.shard, s.prefixes[s.marked]
	mark := remote.PrefixMark{Rest: remote.RestOf(sh.Config.KeyPrefix, p.Text), Process: sh.process, At: s.dates[p.Seq].Hi}
	if err := sh.markEach(ctx, d.node, mark, p.Text, s.lies.anchorsIn(p.Slots), sh.Config.WriteTimeout); err != nil {
		return err
	}
	s.marked++
	return nil
}

// markEach leaves a mark at some anchors of the shard.
func (sh *Shard) markEach(ctx context.Context, node *remote.Node, m remote.PrefixMark, text string, at []remote.Anchor, limit time.Duration) error {
	if len(at) == 0 {
		return nil
	}
	marked, err := node.MarkEach(ctx, m.AtAnchors(sh.Config.KeyPrefix, text, at), false, limit)
	if err != nil {
		return err
	}
	return errors.Join(marked.Errs...)
}

// tookPrefixes notes that the master has deleted prefixes, in the slots that it had all
// the while.
func (d *drainage) tookPrefixes(s *sweep, done []outbox.Prefix) bool {
	sh := d.shard
	if s.slots == nil {
		if _, ok := sh.takenPrefixes(done, d.node, s.generation); !ok {
			return false
		}
		for _, p := range done {
			sh.Outbox.DonePrefix(p.Seq)
		}
		return true
	}
	seqs, here := map[uint64]bool{}, slices.Clone(done)
	for i := range here {
		seqs[here[i].Seq] = true
		here[i].Slots = s.slots
	}
	left, ok := sh.takenPrefixes(here, d.node, s.generation)
	if !ok {
		return false
	}
	swept := *s.slots
	if left != nil {
		swept.RemoveSet(left)
	}
	sh.Outbox.DonePrefixesIn(seqs, &swept)
	return true
}

// endSweep takes its prefixes out of the outbox, but for those that the master
// refuses. It reports false when they wait for the next master.
func (d *drainage) endSweep(s *sweep) bool {
	sh := d.shard
	defer s.noted(false)
	var done []outbox.Prefix
	for _, p := range s.prefixes {
		if s.failed[p.Seq] {
			d.failed[p.Seq] = true
			continue
		}
		p.Lo, p.Hi = s.dates[p.Seq].Lo, s.dates[p.Seq].Hi // a late write of another process is told by that
		done = append(done, p)
	}
	if len(done) == 0 {
		return true
	}
	if !d.tookPrefixes(s, done) {
		return false
	}
	s.noted(true)
	sh.replayed.Add(uint64(len(done)))
	under := outbox.NewPrefixes(done).Cover
	sh.everyClass(func(k *Class) { k.listener.Flush(under) }) // memory may hold what had no room in the outbox
	return true
}

// leaveSweeps is for those that the next pass begins anew.
func (d *drainage) leaveSweeps() {
	for _, s := range d.sweeps {
		s.noted(false)
	}
}
