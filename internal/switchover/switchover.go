// Package switchover changes the master of a set without losing a write, also for clients that know nothing of
// evercache. A plan (plan.go, pure) says how, and why not; Run carries it out.
//
// A plain SENTINEL FAILOVER promotes a replica while the old master goes on taking writes, for ten seconds and more.
// All of them are lost. So writes are paused on the old master first. They go on there only when it is certain that
// no replica is promoted, or when it refuses them as a replica. Each pause ends by itself after three seconds at
// most: a crash of this program leaves no set that is stuck.
package switchover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/survey"
)

// Times.
const (
	// pauseFor is how long a pause of writes lasts that nobody renews or ends.
	pauseFor = 3 * time.Second
	// pauseMost is how long writes are held in all, however often the pause is renewed.
	pauseMost = 10 * time.Second
	// levelMost is how long the replicas may take to have all that the master has.
	levelMost = time.Second
	// renewEvery is how often the pause is renewed while a promotion is awaited.
	renewEvery = time.Second
	// perQuestion bounds each question to a server.
	perQuestion = time.Second
	// look is how often the servers are asked while a promotion is awaited, and lookAll while all are to agree.
	look    = 10 * time.Millisecond
	lookAll = 200 * time.Millisecond
	// cleanUpMost bounds what is undone at the end.
	cleanUpMost = 3 * time.Second
)

// Outcomes.
const (
	Done    = "done"
	Refused = "refused" // nothing was done
	Planned = "planned" // a dry run
	GaveUp  = "gave-up"
	Unclean = "unclean" // the master has changed, and something is not as it should be
)

// Report is what was done. Fields may be added, none is renamed.
type Report struct {
	Outcome string `json:"outcome"`
	Plan
	// Promoted is the new master; "": there is none.
	Promoted string `json:"promoted,omitempty"`
	// State says in what state the set was left.
	State string `json:"state"`
	// PauseMS is how long the old master held writes back, PromotedMS how long the new one took to take them,
	// from the first order on.
	PauseMS    *float64  `json:"pauseMs"`
	PromotedMS *float64  `json:"promotedMs"`
	TookMS     float64   `json:"tookMs"`
	At         time.Time `json:"at"`
	Steps      []Step    `json:"steps"`
}

// Step is one thing that was done or seen.
type Step struct {
	AtMS float64 `json:"atMs"` // since the beginning
	Text string  `json:"text"`
}

// Options say how a plan is carried out.
type Options struct {
	Target  survey.Target
	Timeout time.Duration     // for all servers to agree
	Tell    func(step string) // is called with each step; nil: nobody is told
}

// run is a plan while it is carried out.
type run struct {
	Options
	plan    Plan
	began   time.Time
	report  Report
	paused  time.Time // zero: writes are not held
	renewed time.Time // the pause
	ordered time.Time

	unrenewed bool // the last renewal failed
	gone      bool // the old master has ended
	undemoted bool // the old master does not follow, as far as we know
}

// Run carries a plan out. Before the failover is ordered, the end of ctx gives it up. After that it goes on to the end,
// since half a switchover is what loses writes.
func Run(ctx context.Context, p Plan, o Options) Report {
	r := &run{Options: o, plan: p, began: time.Now()}
	r.report = Report{Plan: p, At: r.began.UTC(), Steps: []Step{}}
	if len(p.Refusals) > 0 {
		r.report.Outcome, r.report.State = Refused, "nothing was changed"
		return r.report
	}
	var err error
	switch p.Method {
	case InCluster:
		err = r.cluster(ctx)
	case Coordinated:
		err = r.coordinated(ctx)
	default:
		err = r.set(ctx)
	}
	r.end(context.WithoutCancel(ctx), err)
	r.report.TookMS = millis(time.Since(r.began))
	return r.report
}

// end waits until all servers agree on what has become of it, and words it.
func (r *run) end(ctx context.Context, err error) {
	rep := &r.report
	if rep.Promoted == "" {
		rep.Outcome = GaveUp
		if rep.State == "" {
			rep.State = fmt.Sprintf("nothing was changed: %s is the master and takes writes", r.plan.From)
		}
		if err != nil {
			r.step("gave up: %v", err)
		}
		return
	}
	if err != nil {
		r.step("%v", err)
	}
	lacks := r.converge(ctx)
	wrong := r.plan.To != "" && rep.Promoted != r.plan.To
	switch {
	case err != nil:
		rep.Outcome, rep.State = Unclean, fmt.Sprintf("%s is the master; %v", rep.Promoted, err)
	case len(lacks) > 0:
		rep.Outcome, rep.State = Unclean, fmt.Sprintf("%s is the master and takes writes; after %v still not: %s", rep.Promoted, r.Timeout, join(lacks))
	case wrong:
		rep.Outcome, rep.State = Unclean, fmt.Sprintf("%s is the master and takes writes; the sentinels chose it in place of %s; nothing was lost", rep.Promoted, r.plan.To)
	default:
		rep.Outcome, rep.State = Done, fmt.Sprintf("%s is the master and takes writes; all others follow it", rep.Promoted)
		if away := r.plan.away(); len(away) > 0 {
			rep.State += fmt.Sprintf(", but for %s, which did not answer before", join(away))
		}
		r.step("all servers agree on %s, and the others follow it", rep.Promoted)
	}
}

// converge waits until all servers agree; it returns what lacks.
func (r *run) converge(ctx context.Context) (lacks []string) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	for {
		s := survey.Take(ctx, r.Target)
		r.demoteLate(ctx, s)
		if ctx.Err() == nil || lacks == nil {
			lacks = missing(s, r.plan.master.Names(), r.report.Promoted)
			if r.gone { // it is told already
				lacks = slices.DeleteFunc(lacks, func(l string) bool { return strings.HasPrefix(l, r.plan.From+" ") })
			}
			lacks = slices.DeleteFunc(lacks, func(l string) bool {
				return slices.ContainsFunc(r.plan.away(), func(a string) bool { return l == a+" does not answer" })
			})
		}
		if len(lacks) == 0 || pause(ctx, lookAll) != nil {
			return lacks
		}
	}
}

func (r *run) step(format string, a ...any) {
	s := Step{millis(time.Since(r.began)), fmt.Sprintf(format, a...)}
	r.report.Steps = append(r.report.Steps, s)
	if r.Tell != nil {
		r.Tell(s.line())
	}
}

// promoted notes that a node has become master.
func (r *run) promoted(addr string) {
	r.report.Promoted = addr
	r.report.PromotedMS = new(millis(time.Since(r.ordered)))
	r.step("%s is master", addr)
}

func millis(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond).Microseconds()) / 1000
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

var errNotPromoted = errors.New("no replica was promoted")
