package revoke

import (
	"slices"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

// pending are the revocations of this process that a failover could still lose:
// whoever made one puts it on every master, until one has confirmed it.
type pending struct {
	mu    sync.Mutex // guards what follows
	all   map[key]*own
	queue []*own // that the present master has not taken
	wake  chan struct{}
}

// own is one of them. A later revocation of the same id takes its place.
type own struct {
	entry
	drop      []string      // members in Redis that it takes the place of
	taken     chan struct{} // closed when a master has taken it
	journaled bool

	on kit.Master // the master that has taken it, since at; nil: none, or not the present one
	at time.Time
}

// maxDrop bounds own.drop: what is beyond it expires by itself.
const maxDrop = 8

func newPending() *pending {
	return &pending{all: map[key]*own{}, wake: make(chan struct{}, 1)}
}

// add enters e, merged into what is pending of its id.
func (p *pending) add(e entry, drop []string, journaled bool) *own {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := &own{entry: e, drop: drop, taken: make(chan struct{}), journaled: journaled}
	if was := p.all[e.key]; was != nil {
		o.entry, o.journaled = e.merge(was.entry), o.journaled || was.journaled
		if was.on == nil {
			o.drop = append(was.drop, o.drop...)
			select {
			case <-was.taken: // by a master before
			default:
				o.taken = was.taken // who waits for the one waits for both
			}
		}
		if len(o.drop) > maxDrop {
			o.drop = o.drop[len(o.drop)-maxDrop:]
		}
	}
	p.all[e.key] = o
	p.queue = append(p.queue, o)
	p.awaken()
	return o
}

func (p *pending) awaken() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next takes a batch off the queue.
func (p *pending) next(most int) []*own {
	p.mu.Lock()
	defer p.mu.Unlock()
	var batch []*own
	for len(p.queue) > 0 && len(batch) < most {
		o := p.queue[0]
		p.queue = p.queue[1:]
		if p.all[o.key] == o && o.on == nil { // else a later one stands for it
			batch = append(batch, o)
		}
	}
	if len(p.queue) == 0 {
		p.queue = nil
	}
	return batch
}

// took notes that a master has taken a batch.
func (p *pending) took(batch []*own, m kit.Master) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, o := range batch {
		o.on, o.at = m, now
		if later := p.all[o.key]; later != nil && later != o && later.taken == o.taken {
			continue // that is what they wait for
		}
		select {
		case <-o.taken:
		default:
			close(o.taken)
		}
	}
}

// back puts a batch that was not taken at the front again.
func (p *pending) back(batch []*own) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(batch, p.queue...)
}

// again queues everything: there is another master.
func (p *pending) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = p.queue[:0]
	for _, o := range p.all {
		o.on = nil
		p.queue = append(p.queue, o)
	}
}

// confirmed drops what the master m had taken before a barrier was sent that no
// promotion can lose, and returns those that the journal has.
func (p *pending) confirmed(m kit.Master, sentAt time.Time) (journaled []key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, o := range p.all {
		if o.on == nil || o.on != m || !o.at.Before(sentAt) {
			continue
		}
		if o.journaled {
			journaled = append(journaled, k)
		}
		delete(p.all, k)
	}
	return journaled
}

// expire drops what has expired before that second, and returns those that the
// journal has: a Redis that never comes must not make this grow.
func (p *pending) expire(before uint32) (journaled []key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, o := range p.all {
		if o.exp >= before {
			continue
		}
		if o.journaled {
			journaled = append(journaled, k)
		}
		delete(p.all, k)
	}
	p.queue = slices.DeleteFunc(p.queue, func(o *own) bool { return p.all[o.key] != o })
	return journaled
}

// where is the master that has taken o, if it is known.
func (p *pending) where(o *own) kit.Master {
	p.mu.Lock()
	defer p.mu.Unlock()
	return o.on
}

// kept notes that the journal has o; false: there is no need any more.
func (p *pending) kept(o *own) (still bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.all[o.key]
	if now == nil {
		return false
	}
	now.journaled = true
	return true
}

// depth counts what is not confirmed, what no master has taken, and of the
// latter what no journal has.
func (p *pending) depth() (unconfirmed, untaken, unsaved int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.all {
		if o.on != nil {
			continue
		}
		untaken++
		if !o.journaled {
			unsaved++
		}
	}
	return len(p.all), untaken, unsaved
}
