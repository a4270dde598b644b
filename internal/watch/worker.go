package watch

import (
	"context"
	"maps"
	"slices"

	"github.com/evercache/evercache/internal/sentinel"
)

// worker is the goroutines that watch one sentinel or one node.
type worker struct {
	pace *pace
	end  context.CancelFunc
}

func (d *desk) syncListeners() {
	d.sync(d.listeners, d.now.Sentinels, d.hire)
	for _, w := range d.listeners {
		w.pace.set(d.now.PollEach)
		if d.now.PollNow {
			w.pace.now()
		}
	}
}

func (d *desk) syncProbers() {
	d.sync(d.probers, d.now.Probes, d.hireProber)
	for _, w := range d.probers {
		w.pace.set(d.now.ProbeEach)
		if d.now.ProbeNow {
			w.pace.now()
		}
	}
	d.beat.want(len(d.now.Promotable))
}

// sync hires for addresses that are new and ends those that are gone.
func (d *desk) sync(have map[sentinel.Addr]*worker, want []sentinel.Addr, hire func(context.Context, sentinel.Addr, *pace)) {
	for _, a := range want {
		if have[a] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(d.ctx)
		w := &worker{pace: newPace(0), end: cancel}
		have[a] = w
		hire(ctx, a, w.pace)
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
