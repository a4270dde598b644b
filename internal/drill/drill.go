// Package drill breaks a Redis set on purpose, or only loads it, and measures what callers feel: of evercache, and of a
// plain client beside it. Run owns everything: the clients, the traffic, a witness that watches the servers. At the
// end it compares what was acknowledged with what the masters hold, and removes its keys.
//
// Each caller records its own calls. What they mean is decided afterwards by pure functions (figures.go, gates.go).
package drill

import (
	"context"
	"fmt"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// Triggers, by name.
const (
	Failover = "failover"
	Kill     = "kill"
	Stop     = "stop"
	Hook     = "hook"
	None     = "none"
)

// Bounds. A drill must not become an outage.
const (
	MaxRate = 20_000
	MaxFor  = 24 * time.Hour
	// MaxCalls is how many calls a drill may make: it keeps each of them, 24 bytes, and a key for each write.
	MaxCalls = 4_000_000
	// maxEvents bounds the story of the servers.
	maxEvents = 200
)

// Times.
const (
	// WarmUp is undisturbed traffic before the trigger.
	WarmUp = 2 * time.Second
	// settleMost is how long everything may take to be well again after the traffic.
	settleMost = time.Minute
	// cleanUpMost bounds the removal of the keys.
	cleanUpMost = 30 * time.Second
	// keysLive is how much longer than the drill its keys live, where nobody removes them.
	keysLive = 10 * time.Minute
)

// Options say what to do.
type Options struct {
	Redis   evercache.Options
	Survey  *survey.Survey // of the preflight
	Trigger string
	// Pull breaks the set; nil: nothing is broken. It says what it has done.
	Pull func(ctx context.Context) (string, error)
	// Mend undoes at the end what Pull has broken; nil: nothing is undone. It says what it has done.
	Mend    func(ctx context.Context) (string, error)
	For     time.Duration // of traffic after the trigger
	Rate    int           // calls a second of each client
	Compare bool          // run a plain client too
	Gates   Gates
	Tell    func(text string) // is told what happens; nil: nobody
}

// run is a drill under way.
type run struct {
	Options
	id      string
	began   time.Time
	pulled  time.Time // zero: not yet
	report  Report
	entries []*entrant
	witness *witness
}

// entrant is one client with its traffic.
type entrant struct {
	name string
	client
	load *load
}

// Run carries the drill out. The end of ctx ends the traffic early; then it still compares and cleans up. The error says
// why it could not begin.
func Run(ctx context.Context, id string, o Options) (Report, error) {
	r := &run{Options: o, id: id}
	r.report = newReport(id, o)
	r.witness = newWitness(survey.TargetOf(o.Redis), o.Survey)
	defer r.witness.close()
	if err := r.open(ctx); err != nil {
		r.closeClients()
		return r.report, err
	}
	r.live(ctx)
	after := context.WithoutCancel(ctx)
	r.settle(after)
	r.verify(after)
	r.closeClients()
	r.cleanUp(after)
	r.mend(after)
	r.finish()
	return r.report, nil
}

func (r *run) tell(format string, a ...any) {
	if r.Tell != nil {
		r.Tell(printable(fmt.Sprintf(format, a...)))
	}
}

// fault notes what went wrong with the drill itself: it is not passed then.
func (r *run) fault(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	r.report.Faults = append(r.report.Faults, text)
	r.tell("%s", text)
}

// open connects the clients.
func (r *run) open(ctx context.Context) error {
	ttl := WarmUp + r.For + keysLive
	ever, err := openEvercache(ctx, r.Redis, r.id, ttl)
	if err != nil {
		return err
	}
	r.entries = append(r.entries, &entrant{name: "evercache", client: ever, load: newLoad(ever, r.Rate, r.calls())})
	if r.Compare {
		p := newPlain(survey.TargetOf(r.Redis), r.Survey, r.id, ttl)
		if err := p.connect(ctx); err != nil {
			return fmt.Errorf("the plain client: %w", err)
		}
		r.entries = append(r.entries, &entrant{name: "plain client", client: p, load: newLoad(p, r.Rate, r.calls())})
	}
	return nil
}

// calls is how many calls of one client there will be at most.
func (r *run) calls() int { return int((WarmUp + r.For + time.Second).Seconds() * float64(r.Rate)) }

// live is the traffic, and what happens meanwhile.
func (r *run) live(ctx context.Context) {
	r.began = time.Now()
	r.witness.start(r.began)
	for _, e := range r.entries {
		e.load.start(r.began)
	}
	defer func() {
		for _, e := range r.entries {
			e.load.stop()
		}
		r.report.TrafficMS = millis(time.Since(r.began))
	}()
	r.tell("traffic: %d calls a second%s, keys drill:%s:*", r.Rate, r.beside(), r.id)
	if r.Pull == nil {
		r.rest(ctx, r.For)
		return
	}
	if !r.rest(ctx, WarmUp) {
		return
	}
	r.pulled = time.Now()
	r.witness.watchFrom(r.pulled)
	r.report.TriggerMS = new(millis(r.pulled.Sub(r.began)))
	pulling, cancel := context.WithTimeout(ctx, r.For)
	said, err := r.Pull(pulling)
	cancel()
	if err != nil {
		r.fault("trigger %s: %v", r.Trigger, err)
		return
	}
	r.report.Did = said
	r.tell("%s: %s", r.Trigger, said)
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	r.witness.watchAgreement(watching, r.needsChange())
	r.rest(ctx, time.Until(r.pulled.Add(r.For)))
}

func (r *run) beside() string {
	if r.Compare {
		return " by evercache, and as many by a plain client"
	}
	return ""
}

// rest waits. Not ok: somebody has ended the drill early, which is noted.
func (r *run) rest(ctx context.Context, d time.Duration) (ok bool) {
	err := pause(ctx, d)
	if err != nil {
		r.fault("ended early: %v", err)
	}
	return err == nil
}

// settle waits until the servers agree again, and evercache has sent what it kept.
func (r *run) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	r.tell("traffic ended; waiting until all is well")
	if r.Pull != nil && !r.pulled.IsZero() {
		if lacks := r.witness.waitAgreed(ctx); len(lacks) > 0 {
			r.fault("%v after the traffic still not: %s", settleMost, join(lacks))
		}
	}
	r.witness.close() // what is done to the servers from here on is no part of it
	for _, e := range r.entries {
		if err := e.flush(ctx); err != nil {
			r.fault("%s: %v", e.name, err)
		}
	}
}

func (r *run) mend(ctx context.Context) {
	if r.Mend == nil || r.pulled.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	said, err := r.Mend(ctx)
	if err != nil {
		r.fault("undo the trigger: %v", err)
		return
	}
	r.tell("%s; waiting until all servers are one set again", said)
	if lacks := r.witness.waitWhole(ctx); len(lacks) > 0 {
		r.tell("not yet: %s", join(lacks))
	}
}

func (r *run) closeClients() {
	for _, e := range r.entries {
		e.close()
	}
}

// needsChange reports whether another master is expected.
func (r *run) needsChange() bool {
	return r.Trigger == Failover || r.Trigger == Kill || r.Trigger == Stop
}

// pause waits for d, or returns early with the reason why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func millis(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond).Microseconds()) / 1000
}

// Breakable is nil where a trigger makes sense in a mode.
func Breakable(trigger string, mode health.Mode) error {
	if mode == health.ModeMemoryOnly {
		return fmt.Errorf("there is no Redis to be drilled: set REDIS_SENTINELS, REDIS_CLUSTER_NODES or REDIS_HOST")
	}
	if mode == health.ModeStandalone && (trigger == Failover || trigger == Kill || trigger == Stop) {
		return fmt.Errorf("--trigger %s: one server has nobody to fail over to; use --trigger none, or hook", trigger)
	}
	return nil
}
