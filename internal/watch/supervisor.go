package watch

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// supervisor is the one owner of the decisions and of the node in use.
type supervisor struct {
	c       Config
	hooks   Hooks
	machine *sentinel.Machine
	now     sentinel.Decision

	in     chan sentinel.Observation
	dialed chan dialed
	crew

	listeners map[sentinel.Addr]*worker
	probers   map[sentinel.Addr]*worker

	seat seat

	events     map[string]uint64 // published messages by channel
	viewAt     time.Time
	complaints complaints
	troubles   troubles
	missing    missing
}

// inbox bounds the observations that wait for the supervisor: who observes waits when
// it is full.
const inbox = 256

func newSupervisor(c Config, h Hooks) *supervisor {
	m := sentinel.New(c.Master, configured(c), sentinel.Rules{})
	m.Allow(mapped(c)...)
	d := &supervisor{
		c: c, hooks: h,
		machine:   m,
		in:        make(chan sentinel.Observation, inbox),
		dialed:    make(chan dialed),
		listeners: map[sentinel.Addr]*worker{},
		probers:   map[sentinel.Addr]*worker{},
		events:    newEvents(),
	}
	d.seat = d.newSeat()
	return d
}

func configured(c Config) []sentinel.Addr {
	var as []sentinel.Addr
	for _, s := range c.Sentinels {
		if a, err := sentinel.SplitAddr(s); err == nil {
			as = append(as, a)
		}
	}
	return as
}

// mapped are the nodes that the operator lists.
func mapped(c Config) []sentinel.Addr {
	var as []sentinel.Addr
	for announced := range c.Map {
		if a, err := sentinel.SplitAddr(announced); err == nil {
			as = append(as, a)
		}
	}
	return as
}

const (
	tickEach   = 25 * time.Millisecond
	tickIdle   = 250 * time.Millisecond
	beatIdle   = 5 * time.Second // at most: its owner says how often while the master is in use
	beatFast   = 100 * time.Millisecond
	viewEach   = 250 * time.Millisecond
	retryFirst = 10 * time.Millisecond
	retryMost  = 250 * time.Millisecond
)

func (d *supervisor) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	d.ctx = ctx
	tick := time.NewTicker(tickEach)
	defer tick.Stop()
	d.observe(sentinel.Tick{At: time.Now()})
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case o := <-d.in:
			if !d.late(o) {
				d.observe(o)
			}
			if b, ok := o.(sentinel.Barrier); ok {
				d.beaten(b)
			}
		case r := <-d.dialed:
			d.arrived(r)
		case <-d.seat.opened():
			d.broken()
		case <-tick.C:
			d.observe(sentinel.Tick{At: time.Now()})
			tick.Reset(d.tickInterval())
		}
	}
	d.seat.drop(context.Cause(ctx))
	cancel()
	d.drain()
}

// rests reports whether nobody uses the master and nothing is the matter.
func (d *supervisor) rests() bool {
	return d.now.Stage == sentinel.Clear && d.c.Rests != nil && d.c.Rests()
}

func (d *supervisor) tickInterval() time.Duration {
	if d.now.Stage == sentinel.Clear && d.seat.node != nil {
		return tickIdle
	}
	return tickEach
}

// drain waits for the goroutines, taking what they still want to hand in.
func (d *supervisor) drain() {
	gone := make(chan struct{})
	go func() {
		d.wg.Wait()
		close(gone)
	}()
	for {
		select {
		case <-d.in:
		case r := <-d.dialed:
			if r.node != nil {
				r.node.Abandon()
			}
		case <-gone:
			return
		}
	}
}

// report hands an observation in.
func (d *supervisor) report(o sentinel.Observation) {
	select {
	case d.in <- o:
	case <-d.ctx.Done():
	}
}

func (d *supervisor) observe(o sentinel.Observation) {
	was := d.now
	if e, ok := o.(sentinel.Event); ok {
		d.count(e.Channel)
	}
	d.hear(o)
	d.now = d.machine.Observe(o)
	if was.Generation != d.now.Generation {
		d.seat.retryNow()
	}
	rests := d.rests()
	d.syncListeners(rests)
	d.syncProbers(rests)
	d.syncNode()
	d.tell(was)
}

// tell hands on what has changed.
func (d *supervisor) tell(was sentinel.Decision) {
	now := d.now
	changed := was.Stage != now.Stage || was.Generation != now.Generation || was.Confirmed != now.Confirmed || was.Master != now.Master
	if changed {
		d.log(was)
	}
	if changed || was.Trouble != now.Trouble || len(now.Finished) > 0 || time.Since(d.viewAt) >= viewEach {
		d.viewAt = time.Now()
		d.hooks.News(View{Decision: now, Reason: d.idleReason(), Status: d.machine.Status(), History: d.machine.History(), Events: maps.Clone(d.events), Forbidden: d.missing.list(), Troubles: d.troubles.of(now.Sentinels)})
	}
	if len(now.Finished) > 0 {
		d.hooks.Done(now.Finished)
	}
}

func (d *supervisor) log(was sentinel.Decision) {
	now := d.now
	attrs := []slog.Attr{
		slog.String("event", "sentinel.decision"),
		slog.String("master_name", d.c.Master),
		slog.String("stage", now.Stage.String()),
		slog.String("was", was.Stage.String()),
		slog.String("addr", now.Master.String()),
		slog.Bool("confirmed", now.Confirmed),
		slog.Int64("epoch", now.Epoch),
	}
	level, text := slog.LevelInfo, "sentinel: "+now.Stage.String()
	switch {
	case now.Master.IsZero():
		text = "sentinel: looking for the master"
	case was.Master != now.Master:
		text = "sentinel: master found"
		if !was.Master.IsZero() {
			text = "sentinel: master changed"
			attrs = append(attrs, slog.String("prev_addr", was.Master.String()))
		}
	case now.Stage >= sentinel.Fenced && was.Stage < sentinel.Fenced:
		level = slog.LevelWarn
	case now.Confirmed && !was.Confirmed:
		text = "sentinel: master confirmed"
	}
	d.c.Log.LogAttrs(d.ctx, level, text, attrs...)
}

// reason is why no node is in use. A login or a handshake that the nodes refuse
// looks like a set without a master: then it says so.
func (d *supervisor) reason() error {
	switch {
	case d.now.Master.IsZero():
		return d.unfound()
	case d.now.Stage == sentinel.Degraded:
		return ErrGivenUp
	case d.now.Writes() && d.seat.lastEnd != nil:
		return fmt.Errorf("%w: %w", ErrNotConnected, d.seat.lastEnd)
	case d.now.Writes():
		return ErrNotConnected
	}
	return fences[d.now.Trouble]
}

// fences are the reasons for which a known master gets no writes.
var fences = map[sentinel.Trouble]error{
	sentinel.TroubleNone:      ErrFenced,
	sentinel.TroubleFailover:  ErrFenced,
	sentinel.TroubleDemoted:   ErrDemoted,
	sentinel.TroubleRival:     ErrRival,
	sentinel.TroubleLoading:   ErrLoading,
	sentinel.TroubleSilent:    ErrSilent,
	sentinel.TroubleReturning: ErrReturning,
}

// unfound says why no master has been found: by what most sentinels answer, else by
// what the nodes do.
func (d *supervisor) unfound() error {
	if err := shared(d.troubles.of(d.now.Sentinels), len(d.now.Sentinels)); err != nil {
		return fmt.Errorf("%w: %w", ErrNoMaster, err)
	}
	if err := d.complaints.last(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoMaster, err)
	}
	if text := d.complaints.other(); text != "" {
		return fmt.Errorf("%w; %s", ErrNoMaster, text)
	}
	return ErrNoMaster
}

func (d *supervisor) idleReason() error {
	if d.seat.up {
		return nil
	}
	return d.reason()
}

// complaints keeps the last fault of the configuration that a node has shown.
type complaints struct {
	mu  sync.Mutex // guards what follows
	err error
	at  time.Time

	silent   string // a node that does not answer, and how
	silentAt time.Time
}

// note keeps err apart if it is one that an operator has to mend.
func (c *complaints) note(a sentinel.Addr, err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch remote.KindOf(err) {
	case remote.Auth, remote.NoPerm, remote.TLS, remote.MaxClients:
		c.err, c.at = err, time.Now()
	default:
		c.silent, c.silentAt = fmt.Sprintf("%s: %v", a, err), time.Now()
	}
}

func (c *complaints) last() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > complaintFor {
		return nil
	}
	return c.err
}

// other tells of a node that does not answer, "" where all do.
func (c *complaints) other() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.silentAt) > complaintFor {
		return ""
	}
	return c.silent
}

const complaintFor = 5 * time.Second

// newEvents names the channels that are counted; the rest are "other".
func newEvents() map[string]uint64 {
	n := map[string]uint64{"other": 0}
	for _, channel := range []string{
		"+sdown", "-sdown", "+odown", "-odown", "+new-epoch", "+try-failover", "+elected-leader", "+selected-slave",
		"+promoted-slave", "+failover-end", "+switch-master", "+tilt", "-tilt", "+reboot", "+convert-to-slave",
	} {
		n[channel] = 0
	}
	return n
}

func (d *supervisor) count(channel string) {
	if _, known := d.events[channel]; !known {
		channel = "other"
	}
	d.events[channel]++
}
