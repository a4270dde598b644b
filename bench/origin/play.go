package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// phases are played in this order.
var phases = [...]struct {
	name string
	state
}{{"is well", well}, {"hangs", hung}, {"fails", failing}, {"is back", well}}

const (
	pause    = 20 * time.Millisecond // between two reads of one caller
	deadline = time.Second           // of a read
)

// figures are those of one phase.
type figures struct {
	reads, failed, queries int64
	most, longest          time.Duration // 99 % of the reads took no longer than most
}

// play lets the callers read through all phases.
func (o options) play(ctx context.Context, c cache) (of [len(phases)]figures, err error) {
	d := newDatabase()
	read, end, err := c.open(d)
	if err != nil {
		return of, err
	}
	defer end()
	for p, phase := range phases {
		d.become(phase.state)
		queries := d.queries.Load()
		took, failed := o.callAll(ctx, read)
		if ctx.Err() != nil {
			return of, context.Cause(ctx)
		}
		slices.Sort(took)
		of[p] = figures{
			reads: int64(len(took)), failed: failed, queries: d.queries.Load() - queries,
			most: took[(len(took)-1)*99/100], longest: took[len(took)-1],
		}
	}
	d.become(well) // what hangs there ends
	return of, nil
}

func (o options) callAll(ctx context.Context, read reader) (took []time.Duration, failed int64) {
	var mu sync.Mutex // guards what is returned
	var wg sync.WaitGroup
	end := time.Now().Add(o.phase)
	for caller := range o.callers {
		wg.Go(func() {
			time.Sleep(pause * time.Duration(caller) / time.Duration(o.callers))
			mine, errs := o.call(ctx, caller, end, read)
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, mine...), failed+errs
		})
	}
	wg.Wait()
	return took, failed
}

// call is one caller's reads.
func (o options) call(ctx context.Context, caller int, end time.Time, read reader) (took []time.Duration, failed int64) {
	for n := caller; time.Now().Before(end) && ctx.Err() == nil; n++ {
		began := time.Now()
		bounded, cancel := context.WithTimeout(ctx, deadline)
		if _, err := read(bounded, fmt.Sprint(n%o.keys)); err != nil {
			failed++
		}
		cancel()
		took = append(took, time.Since(began))
		time.Sleep(pause)
	}
	return took, failed
}
