package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// column is one figure of a sample in a table, or where ratio is set the suite's
// first subject's figure over it, or turned: it over that of the first.
type column struct {
	head   string
	of     func(sample) float64
	format func(float64) string
	ratio  bool
	turned bool
}

var (
	nsPerOp    = column{head: "ns/op", of: func(s sample) float64 { return s.NsPerOp }, format: digits}
	opsPerSec  = column{head: "ops/s", of: rate, format: whole}
	p50        = column{head: "p50 µs", of: func(s sample) float64 { return micros(s.P50) }, format: digits}
	p99        = column{head: "p99 µs", of: func(s sample) float64 { return micros(s.P99) }, format: digits}
	allocs     = column{head: "allocs/op", of: func(s sample) float64 { return s.Allocs }, format: tenths}
	bytesPerOp = column{head: "B/op", of: func(s sample) float64 { return s.Bytes }, format: whole}
	cpuPerOp   = column{head: "CPU µs/op", of: processorTime, format: digits}
	speedOf    = column{head: "ratio", of: rate, format: hundredths, ratio: true}
	serverTime = column{head: "server µs/op", of: func(s sample) float64 { return micros(s.Server) }, format: digits}
	costOf     = column{head: "cost, theirs/ours", of: cost, format: hundredths, ratio: true, turned: true}
)

// cost is the processor time of an operation, that of the masters included.
func cost(s sample) float64 { return micros(s.CPUPerOp + s.Server) }

func processorTime(s sample) float64 { return micros(s.CPUPerOp) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func rate(s sample) float64 { return s.OpsPerSec }

// figures picks one figure of each repetition.
func figures(c cell, of func(sample) float64) []float64 {
	out := make([]float64, len(c.Samples))
	for i, s := range c.Samples {
		out[i] = of(s)
	}
	return out
}

// write prints the column's text for a cell; reference is the suite's first.
func (col column) write(c, reference cell) string {
	if !col.ratio {
		return spreadOf(figures(c, col.of)).text(col.format)
	}
	if c.Subject == reference.Subject {
		return "1"
	}
	of, by := figures(reference, col.of), figures(c, col.of)
	if col.turned {
		of, by = by, of
	}
	return spreadOf(ratios(of, by)).text(col.format)
}

// report is everything that a run found.
type report struct {
	Environment environment `json:"environment"`
	Cells       []cell      `json:"cells"`
}

func (r report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// markdown prints one table for each suite that has cells.
func (r report) markdown(out io.Writer, suites []suite) error {
	var b strings.Builder
	b.WriteString(r.Environment.markdown())
	for _, s := range suites {
		s.table(&b, r.Cells)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (s suite) table(b *strings.Builder, all []cell) {
	var cells []cell
	failed := false
	for _, c := range all {
		if c.Table == s.name && len(c.Samples) > 0 {
			cells = append(cells, c)
			failed = failed || c.failed() > 0
		}
	}
	if len(cells) == 0 {
		return
	}
	columns := s.columns
	if failed {
		columns = append(columns[:len(columns):len(columns)], column{head: "failed", of: func(s sample) float64 { return float64(s.Failed) }, format: whole})
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| %s | subject |", s.title, s.note, s.unit)
	for _, col := range columns {
		fmt.Fprintf(b, " %s |", col.head)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	var reference cell
	for i, c := range cells {
		if i == 0 || c.Level != cells[i-1].Level {
			reference = c
		}
		fmt.Fprintf(b, "| %d | %s |", c.Level, c.Subject)
		for _, col := range columns {
			fmt.Fprintf(b, " %s |", col.write(c, reference))
		}
		b.WriteString("\n")
	}
}

func (c cell) failed() (n uint64) {
	for _, s := range c.Samples {
		n += s.Failed
	}
	return n
}
