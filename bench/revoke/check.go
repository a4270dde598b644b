package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// sample is one run of a subject.
type sample struct {
	Ops     uint64  `json:"ops"`
	Wrong   uint64  `json:"wrong"` // "revoked" for tokens that are not
	NsPerOp float64 `json:"nsPerOp"`
	Allocs  float64 `json:"allocsPerOp"`
}

// cell is one subject at one number of processors, asked for revoked tokens
// (hit) and for others (miss).
type cell struct {
	Procs   int      `json:"procs"`
	Subject string   `json:"subject"`
	Hit     []sample `json:"hit"`
	Miss    []sample `json:"miss"`
}

var procs = []int{1, 2}

// measureChecks gives every subject its turn in each repetition (A B C A B C …),
// so that a machine that is busy for a while is so for all.
func (o options) measureChecks(ctx context.Context, ls *lists) (cells []cell, err error) {
	subjects, err := ls.openSubjects(ctx)
	defer func() {
		for _, s := range subjects {
			err = errors.Join(err, s.close())
		}
	}()
	if err != nil {
		return nil, err
	}
	hits, misses := newAsked(0, o.entries, o.asked), newAsked(o.entries, o.entries, o.asked)
	for _, n := range procs {
		row := make([]cell, len(subjects))
		for r := range o.repeat {
			tell("check, %d procs, repetition %d of %d", n, r+1, o.repeat)
			for i, s := range subjects {
				row[i].Procs, row[i].Subject = n, s.name
				if err := row[i].run(ctx, s, hits, misses, o.length); err != nil {
					return cells, fmt.Errorf("%s: %w", s.name, err)
				}
			}
		}
		cells = append(cells, row...)
	}
	return cells, nil
}

func (c *cell) run(ctx context.Context, s subject, hits, misses asked, length time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Procs))
	hit, err := load{s, hits, true, c.Procs}.run(length)
	if err != nil {
		return err
	}
	miss, err := load{s, misses, false, c.Procs}.run(length)
	c.Hit, c.Miss = append(c.Hit, hit), append(c.Miss, miss)
	return err
}

// load is a way to ask a subject.
type load struct {
	subject
	asked   asked
	revoked bool // what is right
	workers int
}

func (l load) run(length time.Duration) (sample, error) {
	if _, err := l.drive(length / 5); err != nil { // warm-up
		return sample{}, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	out, err := l.drive(length)
	elapsed := time.Since(began)
	runtime.ReadMemStats(&after)
	n := float64(max(1, out.Ops))
	out.NsPerOp, out.Allocs = float64(elapsed)/n, float64(after.Mallocs-before.Mallocs)/n
	return out, err
}

// drive runs all workers for length. A wrong answer that the subject may not give
// ends the run: what is quick and wrong is not compared.
func (l load) drive(length time.Duration) (sum sample, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards sum and err
	end := time.Now().Add(length)
	for w := range l.workers {
		wg.Go(func() {
			own, fault := l.work(w*len(l.asked)/l.workers, end)
			mu.Lock()
			defer mu.Unlock()
			sum.Ops += own.Ops
			sum.Wrong += own.Wrong
			err = errors.Join(err, fault)
		})
	}
	wg.Wait()
	if err == nil && !l.permits(sum.Wrong) {
		err = fmt.Errorf("%d of %d answers are wrong", sum.Wrong, sum.Ops)
	}
	return sum, err
}

// permits reports whether the subject may be wrong so often.
func (l load) permits(wrong uint64) bool {
	return wrong == 0 || l.trust == useless || l.trust == maybe && !l.revoked
}

// batch is how many questions there are between two looks at the clock, and
// remoteBatch the same where Redis may be asked.
const (
	batch       = 512
	remoteBatch = 16
)

// work asks one question after the other, beginning at the id that from counts.
func (l load) work(from int, end time.Time) (s sample, err error) {
	size := batch
	if l.remote {
		size = remoteBatch
	}
	at := from
	for time.Now().Before(end) {
		for range size {
			revoked, err := l.subject.revoked(l.asked[at])
			if err != nil {
				return s, err
			}
			if revoked != l.revoked {
				s.Wrong++
			}
			if at++; at == len(l.asked) {
				at = 0
			}
		}
		s.Ops += uint64(size)
	}
	return s, nil
}
