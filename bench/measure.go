package main

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

// background is the context of every operation, unless it has a deadline. It
// cannot be cancelled: one that can, shared by all goroutines, would make the
// deadlines that are derived from it contend for its lock.
var background = context.Background()

// subject is one of those that are compared.
type subject struct {
	name string
	// do is one operation on the i-th key; false: it failed, or was not
	// answered by what is measured. Safe for concurrent use.
	do func(i int) bool
	// ready, if not nil, waits until the subject can be measured.
	ready func() error
	close func()
}

// sample is one run of a subject.
type sample struct {
	Ops       uint64        `json:"ops"` // that succeeded
	Failed    uint64        `json:"failed"`
	Elapsed   time.Duration `json:"elapsedNs"`
	P50       time.Duration `json:"p50Ns,omitempty"`
	P99       time.Duration `json:"p99Ns,omitempty"`
	Allocs    float64       `json:"allocsPerOp"`
	Bytes     float64       `json:"bytesPerOp"`
	CPUPerOp  time.Duration `json:"cpuNsPerOp"`              // of this process
	Server    time.Duration `json:"serverNsPerOp,omitempty"` // processor time of the masters
	OpsPerSec float64       `json:"opsPerSec"`
	NsPerOp   float64       `json:"nsPerOp"` // wall time over all operations, as go test has it
}

// batch is how many operations are run between two looks at the clock where
// single ones are not timed.
const batch = 1024

// failurePause follows a failed operation: errors come at once, and a loop over
// them would take the processor from what could end them.
const failurePause = time.Millisecond

// load says how a subject is run.
type load struct {
	order   []uint32 // keys in the order in which they are asked for
	workers int
	length  time.Duration
	latency bool  // time each operation: for those that take microseconds
	servers []int // processes whose processor time is told, too
}

// run drives the subject in a closed loop and says what came of it.
func (l load) run(s subject) sample {
	l.drive(s, l.length/5) // warm-up
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, server := machine.CPUTime(), machine.CPUTimeOf(l.servers...)
	out, times := l.drive(s, l.length)
	cpu, server = machine.CPUTime()-cpu, machine.CPUTimeOf(l.servers...)-server
	runtime.ReadMemStats(&after)

	n := float64(max(1, out.Ops+out.Failed))
	out.P50, out.P99 = times.quantile(0.50), times.quantile(0.99)
	out.Allocs = float64(after.Mallocs-before.Mallocs) / n
	out.Bytes = float64(after.TotalAlloc-before.TotalAlloc) / n
	out.CPUPerOp, out.Server = time.Duration(float64(cpu)/n), time.Duration(float64(server)/n)
	out.OpsPerSec = float64(out.Ops) / out.Elapsed.Seconds()
	out.NsPerOp = float64(out.Elapsed) / float64(max(1, out.Ops))
	return out
}

// drive runs all workers for length.
func (l load) drive(s subject, length time.Duration) (sample, *histogram) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards sum and times
	var sum sample
	times := new(histogram)
	start := time.Now()
	for w := range l.workers {
		wg.Go(func() {
			own := worker{load: l, at: w * len(l.order) / l.workers}
			if l.latency {
				own.timed(s, start.Add(length))
			} else {
				own.batches(s, start.Add(length))
			}
			mu.Lock()
			defer mu.Unlock()
			sum.Ops += own.done
			sum.Failed += own.failed
			times.merge(&own.times)
		})
	}
	wg.Wait()
	sum.Elapsed = time.Since(start)
	return sum, times
}

// worker is one goroutine of a run. Workers begin at different keys.
type worker struct {
	load
	at           int
	done, failed uint64
	times        histogram
}

func (w *worker) next() int {
	i := w.order[w.at]
	if w.at++; w.at == len(w.order) {
		w.at = 0
	}
	return int(i)
}

func (w *worker) batches(s subject, end time.Time) {
	for time.Now().Before(end) {
		for range batch {
			if s.do(w.next()) {
				w.done++
			} else {
				w.failed++
			}
		}
	}
}

func (w *worker) timed(s subject, end time.Time) {
	for now := time.Now(); now.Before(end); {
		ok := s.do(w.next())
		then := now
		now = time.Now()
		if !ok {
			w.failed++
			time.Sleep(failurePause)
			now = time.Now()
			continue
		}
		w.done++
		w.times.add(now.Sub(then))
	}
}
