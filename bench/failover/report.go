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
	Episodes    []episode   `json:"episodes"`
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
	counted("failed reads", func(s sample) int { return s.FailedReads + s.WrongReads }),
	counted("failed writes", func(s sample) int { return s.FailedWrites }),
	timed("longest gap without a landed write, ms", func(s sample) float64 { return s.GapMS }),
	timed("the same, of writes that survived, ms", func(s sample) float64 { return s.HeldGapMS }),
	timed("longest operation, ms", func(s sample) float64 { return s.LongestMS }),
	counted("lost, acknowledged by a master", func(s sample) int { return s.LostLanded }),
	counted("acknowledged as `memory`", func(s sample) int { return s.Kept }),
	counted("of these lost", func(s sample) int { return s.LostKept }),
	{"`ROLE master` to first landed write, ms", landing},
}

func landing(s sample) (float64, bool) {
	if s.LandingMS == nil {
		return s.ObservedMS, true
	}
	return *s.LandingMS, false
}

// markdown prints a table for each fault.
func (r report) markdown(out io.Writer) error {
	var b strings.Builder
	b.WriteString(r.Environment.markdown())
	for _, f := range faults {
		var of []episode
		for _, e := range r.Episodes {
			if e.Fault == f.name {
				of = append(of, e)
			}
		}
		if len(of) > 0 {
			f.table(&b, of)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (f fault) table(b *strings.Builder, of []episode) {
	var promoted, stolen []figure
	again := 0
	for _, e := range of {
		if e.PromotedMS != nil {
			promoted = append(promoted, figure{value: *e.PromotedMS})
		}
		if e.Promotions > 1 {
			again++
		}
		stolen = append(stolen, figure{value: e.StolenMS})
	}
	fmt.Fprintf(b, "\n## %s\n\nFrom the fault to `ROLE master` on another node: %s ms. Timers were late by at most %s ms. Observed for %v after the fault.", f.title, spread(promoted), spread(stolen), f.window)
	if again > 0 {
		fmt.Fprintf(b, " In %d of %d repetitions Sentinel failed over again.", again, len(of))
	}
	b.WriteString("\n\n| contender |")
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

// namesIn are the contenders, in the order of the first episode.
func namesIn(of []episode) (names []string) {
	for _, s := range of[0].Samples {
		names = append(names, s.Contender)
	}
	return names
}

func figures(of []episode, contender string, c column) (all []figure) {
	for _, e := range of {
		for _, s := range e.Samples {
			if s.Contender == contender {
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
		fmt.Fprintf(&b, "  %-34s failed %d+%d, gap %.0f (%.0f) ms, longest %.0f ms, lost %d+%d, kept %d, landing %s ms; %.60s\n",
			s.Contender, s.FailedReads, s.FailedWrites, s.GapMS, s.HeldGapMS, s.LongestMS, s.LostLanded, s.LostKept, s.Kept, figure{value, bound}, s.FirstError)
	}
	return b.String()
}
