package drill

import (
	"fmt"
	"strings"

	"github.com/evercache/evercache/internal/table"
)

// join is a list of texts, bounded.
func join(all []string) string {
	const most = 8
	if more := len(all) - most; more > 0 {
		return strings.Join(all[:most], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(all, "; ")
}

// figure is a row: a name, and its value for each client.
type figure struct {
	name string
	of   func(Client) string
}

func ms(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

func msOr(v *float64, other string) string {
	if v == nil {
		return other
	}
	return ms(*v)
}

func number(v *int) string {
	if v == nil {
		return "not known"
	}
	return fmt.Sprint(*v)
}

func of(part, whole int) string { return fmt.Sprintf("%d of %d", part, whole) }

var figures = []figure{
	{"failed reads", func(c Client) string { return of(c.FailedReads, c.Reads) }},
	{"reads that found nothing", func(c Client) string { return fmt.Sprint(c.MissingReads) }},
	{"reads answered from memory", func(c Client) string { return fmt.Sprintf("%d (%.1f %%)", c.MemoryReads, 100*c.HitRatio) }},
	{"failed writes", func(c Client) string { return of(c.FailedWrites, c.Writes) }},
	{"failed deletes", func(c Client) string { return of(c.FailedDels, c.Deletes) }},
	{"writes kept for the next master", func(c Client) string { return fmt.Sprint(c.KeptWrites) }},
	{"acknowledged writes lost", func(c Client) string { return number(c.Lost) }},
	{"acknowledged deletes undone", func(c Client) string { return number(c.Undone) }},
	{"read: median, 99 %, longest", func(c Client) string { return c.Read.text() }},
	{"write: median, 99 %, longest", func(c Client) string { return c.Write.text() }},
	{"longest time without a write that a master took", func(c Client) string { return ms(c.GapMS) }},
	{"longest time without an acknowledged write", func(c Client) string { return ms(c.AckGapMS) }},
	{"trigger to writes in a master again", func(c Client) string { return msOr(c.FirstWriteMS, "–") }},
}

func (l Latency) text() string { return ms(l.P50MS) + ", " + ms(l.P99MS) + ", " + ms(l.MaxMS) }

// marks are the moments of the servers.
func (r Report) marks() (rows [][2]string) {
	if r.TriggerMS == nil {
		return nil
	}
	add := func(name string, v *float64) {
		if v != nil {
			rows = append(rows, [2]string{name, ms(*v)})
		}
	}
	add("a sentinel holds the master down", r.Servers.SuspectedMS)
	add("enough sentinels do", r.Servers.AgreedMS)
	add("another server is master", r.Servers.PromotedMS)
	add("a sentinel names it", r.Servers.SwitchedMS)
	add("all servers that answer agree", r.Servers.ConvergedMS)
	if r.LostBytes != nil {
		rows = append(rows, [2]string{"bytes that the old master took with it", fmt.Sprintf("at least %d", *r.LostBytes)})
	}
	return rows
}

// Text is the report for a terminal.
func (r Report) Text() string {
	var b strings.Builder
	rows := []table.Row{}
	for _, m := range r.marks() {
		rows = append(rows, table.Of(table.Plain, m[0], m[1]))
	}
	if len(rows) > 0 {
		fmt.Fprintf(&b, "after the trigger (%s):\n  %s\n\n", r.Trigger, strings.Join(table.Layout(rows, 0, false), "\n  "))
	}
	head := []string{"callers felt"}
	for _, c := range r.Clients {
		head = append(head, c.Name)
	}
	rows = []table.Row{table.Of(table.Plain, head...)}
	for _, f := range figures {
		cells := []string{f.name}
		for _, c := range r.Clients {
			cells = append(cells, f.of(c))
		}
		rows = append(rows, table.Of(table.Plain, cells...))
	}
	fmt.Fprintf(&b, "%s\n", strings.Join(table.Layout(rows, 0, false), "\n"))
	for _, c := range r.Clients {
		if c.FirstError != "" {
			fmt.Fprintf(&b, "first error of %s: %s\n", c.Name, printable(c.FirstError))
		}
	}
	b.WriteString("\n")
	for _, g := range r.Gates {
		fmt.Fprintf(&b, "gate %s: %s, at most %s: %s\n", g.Name, g.Got, g.Want, g.word())
	}
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "fault: %s\n", printable(f))
	}
	fmt.Fprintf(&b, "%s\n", r.Outcome)
	return b.String()
}

func (g Gate) word() string {
	if g.OK {
		return "kept"
	}
	return "missed"
}
