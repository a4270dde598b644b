package watch

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
)

// worker is the goroutines that watch one sentinel or one node.
type worker struct {
	interval *interval
	end      context.CancelFunc

	heard   bool // a sentinel: its subscription stands
	answers bool // a sentinel: it answered the last question
}

// While a sentinel is not heard, a failover that it leads is found by asking:
// the sentinel itself where it answers, else the nodes. It takes 200 ms from
// its beginning to the promotion.
const (
	pollUnheard  = 100 * time.Millisecond
	probeUnheard = 200 * time.Millisecond
)

// hear notes which sentinels can be heard.
func (d *supervisor) hear(o sentinel.Observation) {
	switch o := o.(type) {
	case sentinel.Link:
		if w := d.listeners[o.Sentinel]; w != nil {
			w.heard = o.Up
		}
	case sentinel.Poll:
		if w := d.listeners[o.Sentinel]; w != nil {
			w.answers = o.Fault == sentinel.FaultNone
		}
	}
}

func (d *supervisor) hearsAll() bool {
	for _, w := range d.listeners {
		if !w.heard {
			return false
		}
	}
	return true
}

// askAtRest is how often sentinels and nodes are asked while nobody uses the master. What
// the sentinels publish is heard all the same, and has them asked at once.
const askAtRest = 5 * time.Second

func (d *supervisor) syncListeners(rests bool) {
	d.sync(d.listeners, d.now.Sentinels, d.startListener)
	for _, w := range d.listeners {
		each := d.now.PollEach
		if rests {
			each = max(each, askAtRest)
		}
		if w.answers && !w.heard {
			each = min(each, pollUnheard)
		}
		w.interval.set(each)
		if d.now.PollNow {
			w.interval.now()
		}
	}
}

// late reports whether o is a last word of a worker that was ended.
func (d *supervisor) late(o sentinel.Observation) bool {
	var a sentinel.Addr
	switch o := o.(type) {
	case sentinel.Link:
		a = o.Sentinel
	case sentinel.Poll:
		a = o.Sentinel
	case sentinel.Event:
		a = o.Sentinel
	default:
		return false
	}
	return d.listeners[a] == nil
}

// askAll asks every sentinel at once.
func (d *supervisor) askAll() {
	for _, w := range d.listeners {
		w.interval.now()
	}
}

func (d *supervisor) syncProbers(rests bool) {
	d.sync(d.probers, d.now.Probes, d.startProber)
	each := d.now.ProbeEach
	if rests {
		each = max(each, askAtRest)
	}
	if !d.hearsAll() {
		each = min(each, probeUnheard)
	}
	for _, w := range d.probers {
		w.interval.set(each)
		if d.now.ProbeNow {
			w.interval.now()
		}
	}
	d.seat.beat.want(len(d.now.Promotable))
}

// sync hires for addresses that are new and ends those that are gone.
func (d *supervisor) sync(have map[sentinel.Addr]*worker, want []sentinel.Addr, hire func(context.Context, sentinel.Addr, *interval)) {
	for _, a := range want {
		if have[a] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(d.ctx)
		w := &worker{interval: newInterval(0), end: cancel}
		have[a] = w
		hire(ctx, a, w.interval)
	}
	if len(have) == len(want) {
		return
	}
	maps.DeleteFunc(have, func(a sentinel.Addr, w *worker) bool {
		gone := !slices.Contains(want, a)
		if gone {
			w.end()
		}
		return gone
	})
}
