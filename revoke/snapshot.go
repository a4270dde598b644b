package revoke

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

const (
	scanCount    = "4000" // a few milliseconds of the server's time
	repairJitter = 200 * time.Millisecond
)

// snapshot reads the whole set: first where the stream is, so that nothing falls
// between the two. What the set lacks it puts back.
func (s *session) snapshot(ctx context.Context) error {
	l, err := s.look(ctx)
	if err != nil {
		return err
	}
	o := weigh(l, s.print, s.life)
	s.compare(ctx, o)
	if !o.foreign {
		if err := s.join(ctx); err != nil {
			return err
		}
	}
	if !o.sound() && !o.foreign {
		if l, err = s.claimSet(ctx, o); err != nil {
			return err
		}
		o = weigh(l, s.print, s.life)
	}
	v, err := s.keys.run(ctx, s.link.Ask, s.patience(), whereScript)
	if err != nil {
		return err
	}
	if s.id, s.seq, err = parseWhere(v); err != nil {
		return err
	}
	s.complete = o.marked
	if _, err := s.pruneOnce(ctx, s.m, 0); err != nil { // before anything is taken for over
		return err
	}
	if err := s.scan(ctx); err != nil {
		return err
	}
	s.stats.snapshots.Add(1)
	if o.foreign {
		return nil
	}
	if err := s.putBack(ctx, s.m, s.reading); err != nil {
		return err
	}
	if err := s.done(ctx); err != nil {
		return err
	}
	return s.arrive(ctx)
}

// claimSet waits a moment, in which another process may put things right, and then
// claims the set: as long as the claim is in it, it has not been emptied.
func (s *session) claimSet(ctx context.Context, o outlook) (look, error) {
	if err := pause(ctx, rand.N(repairJitter)); err != nil {
		return look{}, err
	}
	l, err := s.look(ctx)
	if err != nil || weigh(l, s.print, s.life).sound() {
		s.claim = ""
		return l, err
	}
	s.claim, s.repaired = newClaim(s.known.Load(), s.kit.Process()), !o.whole
	before := s.claimed
	s.claimed = s.claim
	if _, err := s.keys.run(ctx, s.m.Do, s.kit.WriteTimeout(), claimScript, s.claim, before); err != nil {
		return l, err
	}
	return s.look(ctx)
}

// done says that this process has put back all that it has. It need not be waited
// for any more, should it end before it has marked the set.
func (s *session) done(ctx context.Context) error {
	if !strings.HasPrefix(s.claim, healerHead) {
		return nil
	}
	now := claimHead + strings.TrimPrefix(s.claim, healerHead)
	v, err := s.keys.run(ctx, s.m.Do, s.kit.WriteTimeout(), doneScript, s.claim, now)
	if err != nil {
		return err
	}
	if number(v) == 1 { // else the set was emptied, and the claim does not hold
		s.claim, s.claimed = now, now
	}
	return nil
}

// scan reads the set in pieces.
func (s *session) scan(ctx context.Context) error {
	s.reading = s.readings.Add(1)
	dead := s.lastLiving(s.m)
	for cursor := "0"; ; {
		replies, err := s.link.Ask(ctx, s.patience(), []string{"ZSCAN", s.keys.set, cursor, "COUNT", scanCount})
		if err = firstError(replies, err, 1); err != nil {
			return err
		}
		next, entries, garbage, err := parseScan(replies[0].Value)
		if err != nil {
			return err
		}
		s.stats.garbage.Add(uint64(garbage))
		if err := s.learn(entries, dead); err != nil {
			return err
		}
		if cursor = next; cursor == "0" {
			return nil
		}
	}
}

// learn takes entries in, but for those that are over. What comes by the stream was
// revoked a moment ago, by a process whose clock this one may not know yet.
func (s *session) learn(es []entry, dead uint32) error {
	for _, e := range es {
		if e.exp < dead {
			continue
		}
		if _, _, ok := s.set.add(e, s.reading); !ok {
			s.notes.full.Store(true)
			return ErrFull
		}
	}
	return nil
}

// putBack adds to the set in Redis what this process has and that reading had not.
// Others may be doing the same: it does no harm.
func (l *List) putBack(ctx context.Context, m kit.Master, reading uint32) error {
	dead := l.lastLiving(m)
	batch := make([]entry, 0, batchEntries)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		l.stats.pushed.Add(uint64(len(batch)))
		err := l.add(ctx, m, batch, nil)
		batch = batch[:0]
		return err
	}
	n := 0
	for e := range l.set.unseen(reading) {
		if e.exp < dead {
			continue
		}
		n++
		if batch = append(batch, e); len(batch) == batchEntries {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if n > 0 {
		l.kit.Log().LogAttrs(ctx, slog.LevelWarn, "the denylist in redis lacked revocations: they are written again",
			slog.String("event", "revoke.put_back"), slog.Int("entries", n))
	}
	return flush()
}
