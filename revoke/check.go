package revoke

import (
	"context"
	"fmt"
	"time"

	"github.com/evercache/evercache"
)

// Check tells whether a token is revoked, from memory alone: it waits for nobody
// and allocates nothing.
func (l *List) Check(t Token) Verdict {
	l.use()
	asOf := l.asOf.Load() // before the look: what is known at asOf is there to be found
	held := l.holds(t)
	now := l.now()
	if l.kit.MemoryOnly() {
		asOf = now
	}
	v := Verdict{}
	v.Status, v.allowed = l.policy.judge(held, t.usable(), asOf, now)
	if asOf != 0 {
		v.AsOf, v.Lag = l.start.Add(time.Duration(asOf)), time.Duration(now-asOf)
	}
	return v
}

// holds reports whether the token is in the list. An entry that has expired and
// is not swept yet counts: so has the token.
func (l *List) holds(t Token) bool {
	if l.set.count.Load() == 0 {
		return false
	}
	if t.ID != "" && len(t.ID) <= MaxIDBytes && l.set.hasID(l.memo.key(l.hash, kindID, t.ID)) {
		return true
	}
	if t.Subject == "" || len(t.Subject) > MaxIDBytes || !l.set.subjects.Load() {
		return false
	}
	cut, ok := l.set.cutoff(l.memo.key(l.hash, kindSubject, t.Subject))
	return ok && cutoffCovers(cut, t.IssuedAt, l.latest(), l.policy.ClockSkew)
}

// CheckStrict asks the master, and makes sure that it is the only one: the answer
// takes into account everything that was acknowledged before the call. It takes
// some ten milliseconds. Where that cannot be had within Policy.AckTimeout the
// verdict is Unknown, unless the token is known to be revoked, and the error
// (evercache.ErrUnavailable) says why.
func (l *List) CheckStrict(ctx context.Context, t Token) (Verdict, error) {
	if v := l.Check(t); v.Status == Revoked || l.kit.MemoryOnly() || !t.usable() {
		return v, nil
	}
	l.stats.strict.Add(1)
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, l.policy.AckTimeout)
	defer cancel()
	if err := l.catchUp(bounded, began); err != nil {
		l.stats.strictFailed.Add(1)
		v := l.Check(t)
		if v.Status != Revoked {
			v.Status, v.allowed = Unknown, l.policy.OnUnknown == Allow
		}
		return v, fmt.Errorf("%w: %w", evercache.ErrUnavailable, err)
	}
	l.advance(began)
	return l.Check(t), nil
}

// catchUp waits until everything is known that was acknowledged before a moment.
func (l *List) catchUp(ctx context.Context, since time.Time) error {
	m, _ := l.kit.Master()
	if m == nil {
		return errNoMaster
	}
	v, err := l.keys.run(ctx, m.Do, l.kit.WriteTimeout(), lookScript)
	if err != nil {
		return err
	}
	seen, err := parseLook(v)
	if err != nil {
		return err
	}
	for {
		at, moved := l.where()
		if at.master == m && at.trusted && at.seq >= seen.seq && l.trusts(seen) {
			break
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return errNoReply
		}
	}
	l.kit.AwaitBarrier(ctx, m, 0)
	for l.kit.Lease().Before(since) {
		if pause(ctx, 2*time.Millisecond) != nil {
			return errNoReply
		}
	}
	if now, _ := l.kit.Master(); now != m {
		return errNoMaster
	}
	return nil
}

// trusts reports whether the set looked complete.
func (l *List) trusts(seen look) bool {
	o := weigh(seen, l.hash.print(), "")
	return o.marked && o.whole
}
