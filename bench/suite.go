package main

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// suite is one table: subjects that do the same work, at several levels of
// concurrency. The first subject is the reference of the ratios.
type suite struct {
	name    string // in -only
	title   string
	note    string // what the reader must know to read it
	unit    string // what a level counts: procs or goroutines
	levels  []int
	procs   bool // a level is also GOMAXPROCS
	latency bool
	columns []column
	servers func(w *world) []*redisproc.Process // the masters; nil: there are none
	open    func(ctx context.Context, w *world) ([]subject, error)
}

// cell is one subject at one level, with its repetitions in order.
type cell struct {
	Table   string   `json:"table"`
	Level   int      `json:"level"`
	Subject string   `json:"subject"`
	Samples []sample `json:"samples"`
}

// plan says which cells are run, how often and for how long.
type plan struct {
	only   *regexp.Regexp
	repeat int
	length time.Duration
	told   func(format string, a ...any) // progress
}

func cellName(table string, level int, subject string) string {
	return fmt.Sprintf("%s/%d/%s", table, level, subject)
}

// run measures the suite's cells. In each repetition every subject has its
// turn (A B C A B C …), so a machine that is busy for a while is so for all.
func (p plan) run(ctx context.Context, s suite, w *world) (cells []cell, err error) {
	subjects, err := s.open(ctx, w)
	defer func() {
		for _, subject := range subjects {
			subject.close()
		}
	}()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	for _, level := range s.levels {
		row := make([]cell, 0, len(subjects))
		var taken []subject
		for _, subject := range subjects {
			if p.only.MatchString(cellName(s.name, level, subject.name)) {
				taken = append(taken, subject)
				row = append(row, cell{Table: s.name, Level: level, Subject: subject.name})
			}
		}
		for r := range p.repeat {
			for i, subject := range taken {
				if err := ctx.Err(); err != nil {
					return cells, context.Cause(ctx)
				}
				p.told("%s, repetition %d of %d", cellName(s.name, level, subject.name), r+1, p.repeat)
				got, err := p.measure(s, level, subject, w)
				if err != nil {
					return cells, fmt.Errorf("%s: %w", subject.name, err)
				}
				row[i].Samples = append(row[i].Samples, got)
			}
		}
		cells = append(cells, row...)
	}
	return cells, nil
}

func (p plan) measure(s suite, level int, of subject, w *world) (sample, error) {
	if of.ready != nil {
		if err := of.ready(); err != nil {
			return sample{}, err
		}
	}
	if s.procs {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(level))
	}
	l := load{order: w.order, workers: level, length: p.length, latency: s.latency}
	if s.servers != nil {
		for _, master := range s.servers(w) {
			l.servers = append(l.servers, master.Pid())
		}
	}
	return l.run(of), nil
}
