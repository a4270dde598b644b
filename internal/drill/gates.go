package drill

import (
	"fmt"
	"time"
)

// Off is the value of a gate that does not count.
const Off = -1

// Gates are what evercache must keep. The plain client has none.
type Gates struct {
	ReadErrors  int           // most reads that fail or find nothing; Off
	WriteErrors int           // most writes and deletes that fail; Off
	Lost        int           // most writes lost and deletes undone; Off
	Gap         time.Duration // longest time without a write that a master took; 0: any
}

// Gate is one of them, judged.
type Gate struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
}

// judge says which gates were kept.
func (g Gates) judge(c Client) (all []Gate) {
	all = []Gate{}
	number := func(name string, most int, got *int) {
		switch {
		case most == Off:
		case got == nil:
			all = append(all, Gate{name, fmt.Sprint(most), "not known", false})
		default:
			all = append(all, Gate{name, fmt.Sprint(most), fmt.Sprint(*got), *got <= most})
		}
	}
	number("read errors", g.ReadErrors, new(c.FailedReads+c.MissingReads))
	number("write errors", g.WriteErrors, new(c.FailedWrites+c.FailedDels))
	var lost *int
	if c.Lost != nil && c.Undone != nil {
		lost = new(*c.Lost + *c.Undone)
	}
	number("lost", g.Lost, lost)
	if g.Gap > 0 {
		all = append(all, Gate{"gap", g.Gap.String(), fmt.Sprintf("%.0fms", c.GapMS), c.GapMS <= millis(g.Gap)})
	}
	if c.Reads == 0 || c.Writes == 0 {
		all = append(all, Gate{"traffic", "reads and writes", fmt.Sprintf("%d reads, %d writes", c.Reads, c.Writes), false})
	}
	return all
}

func outcome(gates []Gate, faults []string) string {
	for _, g := range gates {
		if !g.OK {
			return Missed
		}
	}
	if len(faults) > 0 {
		return Missed
	}
	return Passed
}
