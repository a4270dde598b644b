package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/chaos"
)

// episode is one repetition of one fault.
type episode struct {
	Fault      string `json:"fault"`
	Repetition int    `json:"repetition"`
	// PromotedMS is from the fault to the first ROLE master of another node, as
	// seen from where the libraries are; nothing: there was none.
	PromotedMS *float64 `json:"promotedMs"`
	// BackMS is from the fault until the same master was back, of a fault after
	// which it is.
	BackMS *float64 `json:"backMs,omitempty"`
	// Promotions counts the nodes that became master after the fault.
	Promotions int `json:"promotions"`
	// StolenMS is the most by which a mere timer was late: the machine's part in
	// every time below.
	StolenMS float64  `json:"stolenMs"`
	Notes    []string `json:"notes,omitempty"`
	Samples  []sample `json:"samples"`
}

const (
	warmUp       = 1500 * time.Millisecond
	phase        = 50 * time.Millisecond // at random: calls come in step, the fault must not
	setTimeout   = 60 * time.Second
	stopTimeout  = 15 * time.Second // for calls under way; all have a context of a second
	flushTimeout = 15 * time.Second
	askAll       = 30 * time.Second
)

// episode lives through one fault with all libraries.
func (o options) episode(ctx context.Context, f fault, repetition int) (_ episode, err error) {
	starting, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	s, err := f.prepare(starting, o.patience)
	if err != nil {
		return episode{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	where := s.seenFrom(repetition)
	where.log = o.log
	in, err := enter(ctx, o.libraries, where, o.rates)
	e := &episode{Fault: f.name, Repetition: repetition + 1}
	defer func() {
		for _, name := range leave(in) {
			e.note("%s could not be closed within %v", name, closeTimeout)
		}
	}()
	if err != nil {
		return episode{}, err
	}
	var nodes []chaos.Node
	for _, addr := range s.nodes {
		nodes = append(nodes, chaos.Node{Addr: addr})
	}
	truth := chaos.Watch(nodes...)
	defer truth.Stop()
	l, err := e.live(ctx, f, s, in)
	if err != nil {
		return episode{}, err
	}
	e.learn(f, &l, truth, s)
	return *e, e.judge(ctx, s, in, l)
}

func (e *episode) note(format string, a ...any) { e.Notes = append(e.Notes, fmt.Sprintf(format, a...)) }

// life is what an episode went through.
type life struct {
	facts   chaos.Facts
	healed  time.Time
	blocked []int // calls, by library
}

// live is the traffic, the fault and the time after it.
func (e *episode) live(ctx context.Context, f fault, s *scene, in []*entrant) (l life, err error) {
	theft := startTheft()
	for _, x := range in {
		x.traffic.start()
	}
	err = l.happen(ctx, f, s)
	l.blocked = stopAll(in)
	l.facts.Stolen = theft.stop()
	return l, err
}

// happen is what happens to the set while the traffic goes on.
func (l *life) happen(ctx context.Context, f fault, s *scene) error {
	if err := machine.Pause(ctx, warmUp+rand.N(phase)); err != nil {
		return err
	}
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return fmt.Errorf("before the fault: %w", err)
		}
		if err := machine.Pause(ctx, f.lead); err != nil {
			return err
		}
	}
	l.facts.Fault = time.Now()
	if err := s.inject(ctx); err != nil {
		return fmt.Errorf("cause the fault: %w", err)
	}
	if s.heal != nil {
		if err := machine.Pause(ctx, time.Until(l.facts.Fault.Add(f.healAfter))); err != nil {
			return err
		}
		if err := s.heal(ctx); err != nil {
			return fmt.Errorf("heal: %w", err)
		}
		l.healed = time.Now()
	}
	return machine.Pause(ctx, time.Until(l.facts.Fault.Add(f.window)))
}

// stopAll ends the traffic of all at the same time.
func stopAll(in []*entrant) []int {
	blocked := make([]int, len(in))
	var wg sync.WaitGroup
	for i, x := range in {
		wg.Go(func() { blocked[i] = x.traffic.stop(stopTimeout) })
	}
	wg.Wait()
	return blocked
}

// learn takes the promotion from the nodes' own answers. Where the same master
// comes back there is a master again when it has.
func (e *episode) learn(f fault, l *life, truth *chaos.Truth, s *scene) {
	if p, ok := truth.Promoted(l.facts.Fault, "", s.nodes[0]); ok {
		l.facts.Promoted = p.At
		e.PromotedMS = new(millis(p.At.Sub(l.facts.Fault)))
	}
	if f.returns {
		l.facts.Promoted = l.healed
		e.BackMS = new(millis(l.healed.Sub(l.facts.Fault)))
	}
	for _, r := range truth.Changes() {
		if r.Master && r.At.After(l.facts.Fault) {
			e.Promotions++
		}
	}
	e.StolenMS = millis(l.facts.Stolen)
}

// judge waits until the set and the clients are calm, and compares.
func (e *episode) judge(ctx context.Context, s *scene, in []*entrant, l life) error {
	final, err := s.calm(ctx)
	if final == nil {
		return err
	}
	if err != nil {
		e.note("%v", err)
	}
	for i, x := range in {
		flushing, cancel := context.WithTimeout(ctx, flushTimeout)
		if err := x.client.flush(flushing); err != nil {
			e.note("%s: %v", x.name, err)
		}
		cancel()
		sample, err := x.judge(ctx, final, l.facts)
		if err != nil {
			return err
		}
		if sample.Blocked = l.blocked[i]; sample.Blocked > 0 {
			e.note("%s: %d calls were blocked for more than %v", x.name, sample.Blocked, stopTimeout)
		}
		e.Samples = append(e.Samples, sample)
	}
	return nil
}

func (x *entrant) judge(ctx context.Context, final holder, facts chaos.Facts) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, askAll)
	defer cancel()
	t := x.traffic
	r := record{calls: t.history.Calls(), deletes: t.deletes.Calls(), struck: t.layout.strikes}
	var err error
	if facts.Unheld, err = final.unheld(ctx, r.calls); err != nil {
		return sample{}, err
	}
	if r.gone, err = final.unheld(ctx, r.deletes); err != nil {
		return sample{}, err
	}
	facts.Began, facts.Ended = t.began, t.ended
	s := newSample(x.name, r, facts)
	if e, ok := x.client.(interface{ explain() string }); ok && len(s.Examples) > 0 {
		s.Examples = append(s.Examples, e.explain())
	}
	return s, nil
}

// unheld are the keys of writes that their final masters do not hold as written.
func (h holder) unheld(ctx context.Context, calls []chaos.Call) (map[string]bool, error) {
	of := map[string]*chaos.History{} // by node
	for _, c := range calls {
		if c.Op != chaos.Write {
			continue
		}
		addr := h(c.Key)
		if of[addr] == nil {
			of[addr] = new(chaos.History)
		}
		of[addr].Record(c)
	}
	all := map[string]bool{}
	for addr, history := range of {
		keys, err := chaos.Unheld(ctx, chaos.Node{Addr: addr}, history)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, keys)
	}
	return all, nil
}

// theft measures by how much timers are late.
type theft struct {
	end  context.CancelFunc
	wg   sync.WaitGroup
	most time.Duration // read after wg
}

func startTheft() *theft {
	ctx, cancel := context.WithCancel(context.Background())
	t := &theft{end: cancel}
	const nap = 10 * time.Millisecond
	t.wg.Go(func() {
		for start := time.Now(); machine.Pause(ctx, nap) == nil; start = time.Now() {
			t.most = max(t.most, time.Since(start)-nap)
		}
	})
	return t
}

func (t *theft) stop() time.Duration {
	t.end()
	t.wg.Wait()
	return t.most
}
