package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// phase is a part of the run.
type phase struct {
	name string
	health
}

var phases = []phase{{"all is well", well}, {"it hangs", hung}, {"it fails", failing}, {"it is back", well}}

// load is what the callers do.
type load struct {
	callers, keys int
	phase         time.Duration
}

const header = "| | database | calls | failed | median | 99 % | longest | queries |\n|---|---|---|---|---|---|---|---|"

// pause is between two calls of one caller.
const pause = 20 * time.Millisecond

// run lets the callers read for a phase, and returns a line of the table.
func (l load) run(how string, p phase, db *database, read func(context.Context, string) (string, error)) string {
	db.health.Store(int32(p.health))
	queries := db.queries.Load()
	end := time.Now().Add(l.phase)
	var failed atomic.Int64
	var mu sync.Mutex // guards took
	var took []time.Duration
	var wg sync.WaitGroup
	for caller := range l.callers {
		wg.Go(func() {
			mine := make([]time.Duration, 0, int(l.phase/pause)+1)
			time.Sleep(pause * time.Duration(caller) / time.Duration(l.callers))
			for n := caller; time.Now().Before(end); n++ {
				began := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				if _, err := read(ctx, fmt.Sprint(n%l.keys)); err != nil {
					failed.Add(1)
				}
				cancel()
				mine = append(mine, time.Since(began))
				time.Sleep(pause)
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[int(share*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %v | %v | %v | %d |", how, p.name, len(took), failed.Load(), at(.5), at(.99), at(1), db.queries.Load()-queries)
}
