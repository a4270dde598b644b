package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is everything that a run found.
type report struct {
	Environment environment `json:"environment"`
	Took        string      `json:"took"`
	Episodes    []episode   `json:"episodes"`

	among []fault // in whose order the tables are
}

func (r report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// column is one figure of a sample. A figure that was still growing at the end
// of the episode is a lower bound.
type column struct {
	head string
	of   func(sample) (value float64, bound bool)
}

func counted(head string, of func(sample) int) column {
	return column{head, func(s sample) (float64, bool) { return float64(of(s)), false }}
}

func timed(head string, of func(sample) float64) column {
	return column{head, func(s sample) (float64, bool) { return of(s), false }}
}

var columns = []column{
	counted("lost writes, acknowledged by a master", func(s sample) int { return s.LostLanded }),
	counted("acknowledged as `memory`", func(s sample) int { return s.Kept }),
	counted("of these lost", func(s sample) int { return s.LostKept }),
	counted("resurrected deletes", func(s sample) int { return s.Resurrected }),
	counted("failed reads", func(s sample) int { return s.FailedReads + s.WrongReads }),
	counted("reads that found nothing", func(s sample) int { return s.MissingReads }),
	counted("failed writes", func(s sample) int { return s.FailedWrites }),
	counted("failed deletes", func(s sample) int { return s.FailedDeletes }),
	timed("longest call, ms", func(s sample) float64 { return s.LongestMS }),
	timed("longest gap without a landed write, ms", func(s sample) float64 { return s.GapMS }),
	timed("the same, of writes that survived, ms", func(s sample) float64 { return s.HeldGapMS }),
}

// otherShards are the figures of the shards that did not fail.
var otherShards = []column{
	timed("other shards: longest time without an answer, ms", func(s sample) float64 { return s.OthersSilentMS }),
	timed("other shards: longest gap without a landed write, ms", func(s sample) float64 { return s.OthersGapMS }),
}

// columns end with what the master was again after: its own return, or the
// promotion of another node.
func (f fault) columns() []column {
	head := "`ROLE master` to first landed write, ms"
	if f.returns {
		head = "master back to first landed write, ms"
	}
	all := slices.Clone(columns)
	if f.shard {
		all = append(all, otherShards...)
	}
	return append(all, column{head, landing})
}

func landing(s sample) (float64, bool) {
	if s.LandingMS == nil {
		return s.ObservedMS, true
	}
	return *s.LandingMS, false
}

// markdown prints a table of all faults, and one for each.
func (r report) markdown(out io.Writer) error {
	var b strings.Builder
	b.WriteString(r.Environment.markdown())
	fmt.Fprintf(&b, "\nAll of it took %s.\n", r.Took)
	var lived []fault
	for _, f := range r.among {
		if len(r.of(f)) > 0 {
			lived = append(lived, f)
		}
	}
	if len(lived) > 0 {
		r.summary(&b, lived)
	}
	for _, f := range lived {
		f.table(&b, r.of(f))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (r report) of(f fault) (all []episode) {
	for _, e := range r.Episodes {
		if e.Fault == f.name {
			all = append(all, e)
		}
	}
	return all
}

// summary has a row for each library and a column for each fault.
func (r report) summary(b *strings.Builder, lived []fault) {
	b.WriteString("\n## Lost / resurrected / failed\n\n" +
		"Acknowledged writes that the key's final master does not hold / acknowledged deletes whose keys it holds / reads, writes and deletes that ended in an error or with a wrong value.\n\n| library |")
	for _, f := range lived {
		fmt.Fprintf(b, " %s |", f.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(lived)) + "\n")
	for _, name := range namesIn(r.Episodes) {
		fmt.Fprintf(b, "| %s |", name)
		for _, f := range lived {
			of := r.of(f)
			fmt.Fprintf(b, " %s / %s / %s |",
				spread(figures(of, name, counted("", sample.lost))),
				spread(figures(of, name, counted("", func(s sample) int { return s.Resurrected }))),
				spread(figures(of, name, counted("", sample.failed))))
		}
		b.WriteString("\n")
	}
}

func (f fault) table(b *strings.Builder, of []episode) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| library |", f.title, f.told(of))
	columns := f.columns()
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c.head)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, name := range namesIn(of) {
		fmt.Fprintf(b, "| %s |", name)
		for _, c := range columns {
			fmt.Fprintf(b, " %s |", spread(figures(of, name, c)))
		}
		b.WriteString("\n")
	}
	for _, e := range of {
		for _, n := range e.Notes {
			fmt.Fprintf(b, "\nRepetition %d: %s.\n", e.Repetition, n)
		}
	}
}

// told is what happened to the set in the episodes of a fault.
func (f fault) told(of []episode) string {
	var promoted, back, stolen []figure
	surplus := 0
	for _, e := range of {
		if e.PromotedMS != nil {
			promoted = append(promoted, figure{value: *e.PromotedMS})
		}
		if e.BackMS != nil {
			back = append(back, figure{value: *e.BackMS})
		}
		if e.Promotions > 1 || f.returns && e.Promotions > 0 {
			surplus++
		}
		stolen = append(stolen, figure{value: e.StolenMS})
	}
	text := fmt.Sprintf("From the fault to `ROLE master` on another node: %s ms.", spread(promoted))
	if f.returns {
		text = fmt.Sprintf("The master was back %s ms after the fault.", spread(back))
	}
	text += fmt.Sprintf(" Timers were late by at most %s ms. Observed for %v after the fault.", spread(stolen), f.window)
	who := "Sentinel"
	if f.shard {
		who = "the Cluster"
	}
	switch {
	case surplus == 0:
		return text
	case f.returns:
		return text + fmt.Sprintf(" In %d of %d repetitions %s failed over all the same.", surplus, len(of), who)
	}
	return text + fmt.Sprintf(" In %d of %d repetitions %s failed over again.", surplus, len(of), who)
}

// namesIn are the libraries, in the order of the first episode.
func namesIn(of []episode) (names []string) {
	for _, s := range of[0].Samples {
		names = append(names, s.Library)
	}
	return names
}

func figures(of []episode, library string, c column) (all []figure) {
	for _, e := range of {
		for _, s := range e.Samples {
			if s.Library == library {
				value, bound := c.of(s)
				all = append(all, figure{value, bound})
			}
		}
	}
	return all
}

// figure is a number, or what a number is at least.
type figure struct {
	value float64
	bound bool
}

func (f figure) String() string {
	if f.bound {
		return ">" + (time.Duration(f.value) * time.Millisecond).Round(100*time.Millisecond).String()
	}
	return strconv.FormatFloat(f.value, 'f', 0, 64)
}

// compare puts bounds last: what had not ended is longer than what had.
func (f figure) compare(g figure) int {
	switch {
	case f.bound != g.bound && f.bound:
		return 1
	case f.bound != g.bound:
		return -1
	case f.value < g.value:
		return -1
	case f.value > g.value:
		return 1
	}
	return 0
}

// spread is "median (min–max)", or the one number where all print alike. Of an
// even number of figures the median is the worse of the two in the middle.
func spread(all []figure) string {
	if len(all) == 0 {
		return "–"
	}
	s := slices.SortedFunc(slices.Values(all), figure.compare)
	median, low, high := s[len(s)/2].String(), s[0].String(), s[len(s)-1].String()
	if low == high {
		return median
	}
	return fmt.Sprintf("%s (%s–%s)", median, low, high)
}

// progress says in a few lines what an episode found.
func (e episode) progress() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  timers late by up to %.0f ms\n", e.StolenMS)
	for _, n := range e.Notes {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	for _, s := range e.Samples {
		value, bound := landing(s)
		fmt.Fprintf(&b, "  %-34s lost %d+%d, resurrected %d, failed %d+%d+%d, missing %d, kept %d, gap %.0f (%.0f) ms, others %.0f (%.0f) ms, longest %.0f ms, landing %s ms; %.60s\n",
			s.Library, s.LostLanded, s.LostKept, s.Resurrected, s.FailedReads+s.WrongReads, s.FailedWrites, s.FailedDeletes, s.MissingReads, s.Kept,
			s.GapMS, s.HeldGapMS, s.OthersSilentMS, s.OthersGapMS, s.LongestMS, figure{value, bound}, strings.ReplaceAll(s.FirstError, "\n", "; "))
		for _, example := range s.Examples {
			fmt.Fprintf(&b, "    %s\n", example)
		}
	}
	return b.String()
}
