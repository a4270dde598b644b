package revoke

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/evercache/evercache"
)

// Revoke refuses the token with this id until it expires. It is in force in this
// process when Revoke returns, whatever it returns but ErrID, ErrExpiry,
// ErrDurability, ErrFull and ErrClosed, and on its way to the others. A *evercache.DurabilityError says
// that it is stored less safely than the policy, or MinDurability, asks: repeating
// it is safe.
func (l *List) Revoke(ctx context.Context, id string, expiresAt time.Time, opts ...Option) (evercache.Receipt, error) {
	exp, err := l.expiry(id, expiresAt)
	if err != nil {
		return evercache.Receipt{}, err
	}
	return l.put(ctx, entry{key: l.hash.key(kindID, id), exp: exp}, opts)
}

// RevokeIssuedBefore refuses every token of the subject that was issued at t or
// before ("log out everywhere"), until expiresAt, when the last of them has expired.
// A t that is a whole second stands for all of it, one that is a whole millisecond
// for all of that: whoever gave it may have cut off the rest. It is otherwise like
// Revoke.
func (l *List) RevokeIssuedBefore(ctx context.Context, subject string, t, expiresAt time.Time, opts ...Option) (evercache.Receipt, error) {
	exp, err := l.expiry(subject, expiresAt)
	if err != nil {
		return evercache.Receipt{}, err
	}
	cut, ok := cutoffAt(t)
	if !ok || t.Sub(l.fastest()) > l.policy.ClockSkew || l.effectless(t) {
		return evercache.Receipt{}, ErrExpiry // it would refuse what is not issued yet, or nothing
	}
	return l.put(ctx, entry{key: l.hash.key(kindSubject, subject), subject: true, exp: exp, cut: cut}, opts)
}

// effectless reports whether every token that was issued at t has expired by every
// clock: to acknowledge a cut-off there would hide a mistake, such as a wrong unit.
func (l *List) effectless(t time.Time) bool {
	m, _ := l.kit.Master()
	return t.Before(time.UnixMilli(l.slowest(m)).Add(-l.policy.MaxLife - l.policy.ClockSkew))
}

// expiry checks what Revoke is given, by the clock that refuses less: a token that
// is alive by any clock can be revoked. The second it returns is not before the
// moment given.
func (l *List) expiry(id string, at time.Time) (uint32, error) {
	if id == "" || !isName(id) {
		return 0, ErrID
	}
	m, _ := l.kit.Master()
	over := time.UnixMilli(l.slowest(m)).Add(-l.policy.ClockSkew)
	if at.IsZero() || at.Before(over) || at.After(l.fastest().Add(l.policy.MaxLife+l.policy.ClockSkew)) {
		return 0, ErrExpiry
	}
	exp := at.Unix()
	if at.Nanosecond() > 0 {
		exp++
	}
	if exp < 1 || exp > math.MaxUint32 {
		return 0, ErrExpiry
	}
	return uint32(exp), nil
}

// put brings an entry into force here and sees how far it gets.
func (l *List) put(ctx context.Context, e entry, opts []Option) (evercache.Receipt, error) {
	asked, err := l.policy.asked(opts)
	if err != nil {
		return evercache.Receipt{}, err
	}
	if l.isOver() {
		return evercache.Receipt{}, evercache.ErrClosed
	}
	l.use()
	is, was, ok := l.set.add(e, 0)
	if !ok {
		l.stats.refused.Add(1)
		return evercache.Receipt{}, ErrFull
	}
	l.stats.revoked.Add(1)
	var drop []string
	if e.subject && was.exp != 0 && is.second() > was.second() {
		drop = []string{was.member()}
	}
	o := l.own.add(is, drop, false)
	bounded, cancel := context.WithTimeout(ctx, l.policy.AckTimeout)
	defer cancel()
	r, cause := l.deliver(bounded, o, asked)
	if r.Durability < evercache.Master {
		if r.Durability = evercache.Memory; l.keep(bounded, ctx, o) {
			r.Durability = evercache.Journaled
		}
	}
	if ctx.Err() != nil && r.Durability < asked.Durability {
		return evercache.Receipt{}, context.Cause(ctx)
	}
	return r, l.enough(r, asked, cause)
}

// isOver reports whether the list or its client is closed. The client is asked: the
// list hears of its end a moment later, where Shutdown has run out of time.
func (l *List) isOver() bool {
	return l.isClosed() || l.ctx.Err() != nil || !l.kit.Go(func(context.Context) {})
}

var (
	errNoMaster = errors.New("no master can be reached")
	errNoReply  = errors.New("no master has taken it in time")
)

// deliver waits until a master, and as many replicas as are asked for, have an
// entry.
func (l *List) deliver(ctx context.Context, o *own, asked evercache.Receipt) (evercache.Receipt, error) {
	if l.kit.MemoryOnly() {
		return evercache.Receipt{}, nil
	}
	if l.away() {
		return evercache.Receipt{}, errNoMaster
	}
	select {
	case <-o.taken:
	case <-ctx.Done():
		if f := l.fault.Load(); f != nil {
			return evercache.Receipt{}, *f
		}
		return evercache.Receipt{}, errNoReply
	case <-l.ctx.Done():
		return evercache.Receipt{}, evercache.ErrClosed
	}
	l.stats.taken.Add(1)
	r := evercache.Receipt{Durability: evercache.Master}
	if asked.Durability < evercache.Replicated {
		return r, nil
	}
	m := l.own.where(o)
	if m == nil { // it is on its way to the next one
		return r, nil
	}
	if n := l.kit.AwaitBarrier(ctx, m, asked.Replicas); n > 0 {
		r = evercache.Receipt{Durability: evercache.Replicated, Replicas: n}
	}
	return r, nil
}

// keep puts o into the journal, if there is one.
func (l *List) keep(bounded, ctx context.Context, o *own) bool {
	if bounded.Err() != nil && ctx.Err() == nil { // the wait for Redis is over, not that for the disk
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, l.policy.AckTimeout)
		defer cancel()
	}
	ok, err := l.kit.Keep(bounded, l.journalKey(o.key), encode(o.entry))
	if !ok || err != nil {
		return false
	}
	if !l.own.kept(o) {
		l.kit.Forget(l.journalKey(o.key))
	}
	return true
}

// enough is nil when r is what is asked for. Without any Redis there is nothing
// more to be had.
func (l *List) enough(r, asked evercache.Receipt, cause error) error {
	if l.kit.MemoryOnly() || r.Durability > asked.Durability || r.Durability == asked.Durability && r.Replicas >= asked.Replicas {
		return nil
	}
	return &evercache.DurabilityError{
		Asked: asked.Durability, AskedReplicas: asked.Replicas,
		Got: r.Durability, GotReplicas: r.Replicas, Cause: cause,
	}
}
