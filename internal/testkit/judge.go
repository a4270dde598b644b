package testkit

import (
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/redistest"
)

// End stops the traffic, waits until nothing waits in the client and it agrees
// with the sentinels on the master, and asks that one what it holds. Sentinel
// sometimes fails over again a master that it has just confirmed: the next one
// is awaited then.
func (d *Drill) End() chaos.Summary {
	d.Helper()
	d.Traffic.Stop()
	d.Wait("the client does not end its replay", func() bool {
		h := d.Client.Health()
		return h.State == health.Connected && h.OutboxEntries == 0 && !h.Sentinel.Provisional && h.Master == d.Set.Master().Addr()
	})
	final := d.Set.Master()
	p, _ := d.Truth.Promoted(d.Fault, final.Addr(), d.Old.Addr())
	return d.judge(final, p)
}

// EndUnsettled is End where the sentinels may go on to change the master.
func (d *Drill) EndUnsettled() chaos.Summary {
	d.Helper()
	d.Traffic.Stop()
	d.Wait("the sentinels and the client do not agree", func() bool {
		h := d.Client.Health()
		return h.State == health.Connected && h.OutboxEntries == 0 && h.Sentinel.Stage == "clear" &&
			!h.Sentinel.Provisional && h.Sentinel.Agreeing == h.Sentinel.Known
	})
	first, _ := d.Truth.Promoted(d.Fault, "", d.Old.Addr())
	return d.judge(d.Set.Node(d.Client.Health().Master), first)
}

// judge compares what was acknowledged with what the final master holds;
// promoted is when the fault's promotion was.
func (d *Drill) judge(final *redistest.Server, promoted chaos.Role) chaos.Summary {
	d.Helper()
	d.Truth.Stop()
	if got := d.Client.Health().Master; got != final.Addr() {
		d.Errorf("the client's master is %s, the set's %s", got, final.Addr())
	}
	facts := d.Traffic.Facts()
	facts.Fault, facts.Promoted = d.Fault, promoted.At
	var err error
	if facts.Unheld, err = chaos.Unheld(d.Context(), d.Node(final), d.Traffic.History); err != nil {
		d.Fatal(err)
	}
	s := chaos.Sum(d.Traffic.History.Calls(), facts)
	for _, b := range s.Breaches(d.Limits) {
		d.Error(b)
	}
	d.Logf("%d writes: %d landed, %d kept; gap %v, landing %v, longest write %v, read %v; stolen %v; lost %d",
		s.Writes, s.LandedWrites, s.KeptWrites, s.Gap, s.Landing, s.LongestWrite, s.LongestRead, s.Stolen, s.Lost())
	d.LeavesNothing()
	return s
}

// LeavesNothing closes the client and waits for its goroutines.
func (d *Drill) LeavesNothing() {
	d.Helper()
	if err := d.Client.Close(); err != nil {
		d.Errorf("Close: %v", err)
	}
	deadline := time.Now().Add(3 * time.Second)
	for runtime.NumGoroutine() > d.goroutines {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			d.Errorf("%d goroutines, %d before; stacks:\n%s", runtime.NumGoroutine(), d.goroutines, buf[:runtime.Stack(buf, true)])
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// WantFailovers compares the history with the causes expected, one for each
// failover; the last of them led to the present master.
func (d *Drill) WantFailovers(causes ...string) {
	d.Helper()
	s := d.Client.Health().Sentinel
	var got []string
	for _, f := range s.Failovers {
		got = append(got, f.Cause)
	}
	if n := d.announced(); n > len(causes) && len(got) == n && s.FailoverCount == n && slices.Equal(got[:len(causes)], causes) {
		d.Logf("the sentinels failed over again by themselves: %v", got)
		return
	}
	if !slices.Equal(got, causes) || s.FailoverCount != len(causes) {
		d.Errorf("failovers %v, count %d, want %v; %+v", got, s.FailoverCount, causes, s.Failovers)
		return
	}
	if len(causes) == 0 {
		return
	}
	first, last := s.Failovers[0], s.Failovers[len(s.Failovers)-1]
	if first.From != d.Old.Addr() || last.To != d.Client.Health().Master {
		d.Errorf("failovers from %s to %s, want from %s to %s", first.From, last.To, d.Old.Addr(), d.Client.Health().Master)
	}
	if last.Blackout <= 0 || last.Blackout > 20*time.Second {
		d.Errorf("blackout %v", last.Blackout)
	}
	d.Wait("not every failover was told", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.failovers) == len(causes)
	})
}

// announced is how many changes of master the sentinels have published, each
// counted once: on a busy machine they fail over a healthy master too.
func (d *Drill) announced() int {
	seen := map[string]bool{}
	for _, s := range d.Set.Sentinels() {
		for line := range strings.Lines(s.Log()) {
			if _, change, ok := strings.Cut(line, "+switch-master "); ok {
				seen[change] = true
			}
		}
	}
	return len(seen)
}

// FirstDegraded is when callers lost the master after the fault.
func (d *Drill) FirstDegraded() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, at := range d.degraded {
		if at.After(d.Fault) {
			return at
		}
	}
	return time.Time{}
}

// FencedAtMost samples the client's stage until the returned func is called,
// which reports a fence that lasted longer.
func (d *Drill) FencedAtMost(limit time.Duration) (stop func()) {
	d.Helper()
	quit, ended := make(chan struct{}), make(chan time.Duration)
	go func() {
		var longest time.Duration
		var since time.Time
		for {
			switch stage := d.Client.Health().Sentinel.Stage; {
			case stage != "fenced" && stage != "degraded":
				since = time.Time{}
			case since.IsZero():
				since = time.Now()
			default:
				longest = max(longest, time.Since(since))
			}
			select {
			case <-quit:
				ended <- longest
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() {
		d.Helper()
		close(quit)
		longest := <-ended
		d.Logf("fenced for %v", longest)
		if limit > 0 {
			limit += 2 * 25 * time.Millisecond // the steps in which it is measured, ours and the client's
		}
		const turns = 3 // of the sampler, the client and the server
		if longest > limit+turns*d.Traffic.Stolen() {
			d.Errorf("fenced for %v, more than %v", longest, limit)
		}
	}
}
