package revoke

import (
	"context"
	"log/slog"
	"strconv"
	"time"
)

const (
	// block is how long XREAD waits for something new: the pace at which the
	// knowledge is renewed when there is nothing.
	block     = 300 * time.Millisecond
	tailCount = 512
)

// tail follows the stream until the set has to be read again (errAgain).
func (s *session) tail(ctx context.Context) error {
	for {
		sent := time.Now()
		l, items, err := s.ask(ctx)
		if err != nil {
			return err
		}
		for _, it := range items {
			s.stats.garbage.Add(uint64(it.garbage))
			if err := s.learn(it.entries, 0); err != nil {
				return err
			}
			s.id = it.id
		}
		last, ok := follows(s.seq, l.seq, items)
		if s.seq = last; !ok && len(items) < tailCount {
			s.stats.gaps.Add(1)
			s.since = time.Now() // the set may be another one
			return errAgain
		}
		s.meet(l)
		if err := s.consider(ctx, weigh(l, s.print, s.life)); err != nil {
			return err
		}
		if len(items) < tailCount {
			s.vouch(ctx, sent, weigh(l, s.print, s.life))
		}
	}
}

// ask looks at the set, and then waits for what is new in the stream.
func (s *session) ask(ctx context.Context) (look, []item, error) {
	replies, err := s.link.Ask(ctx, block+s.patience(), s.keys.command(lookScript, s.whole, s.state, peerMember(s.name, s.life)),
		[]string{"XREAD", "COUNT", strconv.Itoa(tailCount), "BLOCK", strconv.FormatInt(block.Milliseconds(), 10), "STREAMS", s.keys.stream, s.id})
	if err = firstError(replies, err, 2); err != nil {
		if s.whole || !noHash(err) {
			return look{}, nil, err
		}
		s.whole = true
		return s.ask(ctx)
	}
	l, err := parseLook(replies[0].Value)
	if err != nil {
		return l, nil, err
	}
	items, err := parseStream(replies[1].Value)
	return l, items, err
}

// step is what is to be done about a set.
type step uint8

const (
	goOn       step = iota
	startAgain      // read it again
	markIt          // say that it is complete
)

// next decides what to do about a set. waited is how long it has been watched
// since the session began or something was lost.
func (s *session) next(o outlook, known bool, waited time.Duration) step {
	enough := waited >= wait(known, false)
	switch {
	case o.foreign:
		return goOn // it is not ours to judge
	case o.marked && !s.complete:
		return startAgain // it was marked after the snapshot
	case !o.marked && s.complete:
		return startAgain // it was emptied
	case o.sound():
		return goOn
	case s.claim == "":
		return startAgain // with a claim
	case !o.marked && !known && s.policy.NoFirstUse:
		enough = waited >= s.policy.MaxLife
	}
	if enough {
		return markIt
	}
	return goOn
}

func (s *session) consider(ctx context.Context, o outlook) error {
	known := s.known.Load()
	s.notes.foreign.Store(o.foreign)
	s.compare(ctx, o)
	if s.complete && !o.marked || s.claim == "" && !o.whole {
		s.since = time.Now()
	}
	if !known && o.healing && !o.settled && time.Since(s.began) < graceHealing {
		s.since = time.Now()
	}
	if err := s.stay(ctx, o); err != nil {
		return err
	}
	switch s.next(o, known, time.Since(s.since)) {
	case startAgain:
		return errAgain
	case markIt:
		if !s.awaits(ctx, o) {
			return s.mark(ctx, !o.marked && !known)
		}
	}
	return nil
}

// stay makes sure that this process is among the peers, in the present life of the
// dataset; else the set is read again.
func (s *session) stay(ctx context.Context, o outlook) error {
	if o.foreign {
		return nil
	}
	if !s.isIn() {
		s.since = time.Now()
		return errAgain
	}
	if was := s.life; s.stranger() {
		if err := s.identify(ctx); err != nil {
			return err
		}
		if s.life != was {
			return errAgain
		}
	}
	return nil
}

// compare counts and tells a loss: the set was marked, or whole, when this process
// saw it last, and is not now. It is asked at each look, also at the first one after
// a question failed or the stream had a gap, which an eviction brings about as well.
func (s *session) compare(ctx context.Context, o outlook) {
	if o.foreign {
		return // it is not ours to judge
	}
	was := s.seen
	s.seen = o
	if was.marked && !o.marked || was.whole && !o.whole {
		s.stats.lost.Add(1)
		s.kit.Log().LogAttrs(ctx, slog.LevelWarn, "the denylist in redis has lost revocations",
			slog.String("event", "revoke.lost"), slog.Bool("all", !o.marked))
	}
}

// mark says that the set is complete, if it has not been emptied since the claim.
func (s *session) mark(ctx context.Context, firstUse bool) error {
	m := marker{s.print, s.life}
	claim := s.claim
	s.claim = ""
	args := append([]string{m.member(), markerHead + s.print + ":", claim, strconv.FormatInt(s.seq, 10)}, s.givenUp...)
	v, err := s.keys.run(ctx, s.m.Do, s.kit.WriteTimeout(), markScript, args...)
	if err != nil || number(v) != 1 {
		return err
	}
	s.complete = true
	s.seen.marked = true
	if firstUse {
		s.notes.firstUse.Store(true)
		s.kit.Log().LogAttrs(ctx, slog.LevelWarn, "no running process has confirmed the denylist in redis: it is accepted without proof that it is complete",
			slog.String("event", "revoke.first_use"))
	}
	if s.repaired {
		return errAgain // what was taken out while we waited
	}
	return nil
}

// vouch moves the moment up to which everything is known: a question that was
// sent to the master brought nothing new, and the master was the only one.
func (s *session) vouch(ctx context.Context, sent time.Time, o outlook) {
	p := position{master: s.m, seq: s.seq}
	defer func() { s.moveTo(p) }()
	if !s.complete || o.foreign || !o.sound() && time.Since(s.since) < wait(s.known.Load(), false) || s.awaits(ctx, o) {
		return
	}
	s.notes.reading.Store(nil)
	lease := s.kit.Lease()
	if now, _ := s.kit.Master(); now != s.m || lease.IsZero() {
		return
	}
	if lease.Before(sent) {
		sent = lease
	}
	s.advance(sent)
	s.believe()
	p.trusted = true
}
