package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// reportCalls bounds the calls that Report shows.
const reportCalls = 16

// Report is a violation as a person reads it: the promise, the seed that
// repeats the run, the shortest history that shows it, what was done to Redis
// meanwhile, and when each process had no master.
func Report(v Violation, seed uint64, events []Event, notes []Note, f Final) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s (key %s, seed %d)\n", v.Kind, v.Text, v.Key, seed)
	type line struct {
		at   int64
		text string
	}
	var lines []line
	for _, e := range shortest(v, events) {
		lines = append(lines, line{e.Start, "  " + e.String()})
	}
	for _, n := range notes {
		lines = append(lines, line{n.At, fmt.Sprintf("  %s   ── %s", clockOf(n.At), n.Text)})
	}
	for proc, spans := range f.Away {
		for _, s := range spans {
			lines = append(lines, line{s.From, fmt.Sprintf("  %s … %s  process %d has no confirmed master", clockOf(s.From), clockOf(s.To), proc)})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

// shortest are the calls that prove the violation and, as far as there is room,
// the other calls of the key nearest to them.
func shortest(v Violation, events []Event) []Event {
	shown := slices.Clone(v.Witness)
	shown = slices.Compact(shown) // they are sorted
	if len(shown) == 0 || len(shown) > reportCalls {
		return shown[:min(len(shown), reportCalls)]
	}
	from, to := shown[0].Start, shown[len(shown)-1].End
	distance := func(e Event) int64 { return max(from-e.End, e.Start-to, 0) }
	var rest []Event
	for _, e := range events {
		ours := e.Key == v.Key || e.Act == RemovePrefix && e.Key.group() == v.Key.group()
		if ours && !slices.Contains(shown, e) {
			rest = append(rest, e)
		}
	}
	// Changes first: of a hundred equal reads none is of interest.
	slices.SortStableFunc(rest, func(a, b Event) int {
		return cmp.Or(cmp.Compare(count(a.Act == Look), count(b.Act == Look)), cmp.Compare(distance(a), distance(b)))
	})
	shown = append(shown, rest[:min(len(rest), reportCalls-len(shown))]...)
	slices.SortFunc(shown, func(a, b Event) int { return cmp.Compare(a.Start, b.Start) })
	return shown
}

// Tally are the violations by kind.
func Tally(all []Violation) map[Kind]int {
	t := map[Kind]int{}
	for _, v := range all {
		t[v.Kind]++
	}
	return t
}
