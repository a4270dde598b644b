package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// column is one figure of a sample in a table. Where of is nil the column is
// the ratio to the suite's first subject.
type column struct {
	head   string
	of     func(sample) float64
	format func(float64) string
}

var (
	nsPerOp    = column{"ns/op", func(s sample) float64 { return s.NsPerOp }, digits}
	opsPerSec  = column{"ops/s", func(s sample) float64 { return s.OpsPerSec }, whole}
	p50        = column{"p50 µs", func(s sample) float64 { return micros(s.P50) }, digits}
	p99        = column{"p99 µs", func(s sample) float64 { return micros(s.P99) }, digits}
	allocs     = column{"allocs/op", func(s sample) float64 { return s.Allocs }, tenths}
	bytesPerOp = column{"B/op", func(s sample) float64 { return s.Bytes }, whole}
	cpuPerOp   = column{"CPU µs/op", func(s sample) float64 { return micros(s.CPUPerOp) }, digits}
	speedOf    = column{head: "ratio", format: func(f float64) string { return fmt.Sprintf("%.2f", f) }}
)

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
	if col.of != nil {
		return spreadOf(figures(c, col.of)).text(col.format)
	}
	if c.Subject == reference.Subject {
		return "1"
	}
	return spreadOf(ratios(figures(reference, rate), figures(c, rate))).text(col.format)
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
		columns = append(columns[:len(columns):len(columns)], column{"failed", func(s sample) float64 { return float64(s.Failed) }, whole})
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
