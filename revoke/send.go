package revoke

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

const (
	retryFirst = 10 * time.Millisecond
	retryMost  = 500 * time.Millisecond
	// episode is how long after the loss of a master Revoke still waits for the
	// next one.
	episode = 5 * time.Second
)

// send puts the revocations of this process on every master there is, until ctx
// ends.
func (l *List) send(ctx context.Context) {
	var last, shown kit.Master
	delay := retryFirst
	for ctx.Err() == nil {
		m, changed := l.kit.Master()
		if m != last {
			l.own.again()
			last = m
		}
		l.mastered(m != nil)
		var batch []*own
		if m != nil {
			batch = l.own.next(batchEntries)
		}
		if len(batch) == 0 {
			select {
			case <-l.own.wake:
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		err := l.show(ctx, m, shown)
		if err == nil {
			shown = m
			err = l.give(ctx, m, batch)
		}
		if err != nil {
			l.own.back(batch)
			l.fault.Store(&err)
			_ = pause(ctx, delay/2+rand.N(delay)) // its end is that of the loop
			delay = min(2*delay, retryMost)
			continue
		}
		if now, _ := l.kit.Master(); now != m {
			l.own.back(batch) // who reads from the next one may have put back what there was before this
			continue
		}
		l.own.took(batch, m)
		l.fault.Store(nil)
		delay = retryFirst
	}
}

func (l *List) give(ctx context.Context, m kit.Master, batch []*own) error {
	es := make([]entry, len(batch))
	var drop []string
	for i, o := range batch {
		es[i] = o.entry
		drop = append(drop, o.drop...)
	}
	return l.add(ctx, m, es, drop)
}

// add adds entries to the list in Redis.
func (l *List) add(ctx context.Context, m kit.Master, es []entry, drop []string) error {
	_, err := l.keys.run(ctx, m.Do, l.kit.WriteTimeout(), addScript, addArgs(es, drop)...)
	return err
}

// mastered notes since when there is no master.
func (l *List) mastered(there bool) {
	switch {
	case there:
		l.awaySince.Store(0)
	case l.awaySince.Load() == 0:
		l.awaySince.Store(l.now())
	}
}

// away reports whether there has been no master for so long that waiting for the
// next one is no use.
func (l *List) away() bool {
	since := l.awaySince.Load()
	return since != 0 && l.now()-since > int64(episode)
}

// beat hears that a barrier was answered.
func (l *List) beat(b kit.Beat) {
	m, _ := l.kit.Master()
	if !b.Confirms || m == nil {
		return
	}
	select { // the older one is covered by this
	case <-l.confirms:
	default:
	}
	select {
	case l.confirms <- confirm{m, b.SentAt}:
	default:
	}
}

// confirm says that no promotion can lose what a master had taken before.
type confirm struct {
	master kit.Master
	sentAt time.Time
}
