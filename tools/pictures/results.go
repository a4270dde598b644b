package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// section is the part of a document under a heading, up to the next one.
func section(text, heading string) (string, error) {
	_, rest, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		return "", fmt.Errorf("there is no heading %q", heading)
	}
	part, _, _ := strings.Cut(rest, "\n#")
	return part, nil
}

// cell is what the table of a section says in the row and the column of these names.
func cell(part, row, column string) (string, error) {
	at := -1
	for l := range strings.Lines(part) {
		cells := strings.Split(strings.TrimSpace(l), "|")
		for i, c := range cells {
			if at < 0 && strings.TrimSpace(c) == column {
				at = i
			}
		}
		if at >= 0 && at < len(cells) && len(cells) > 2 && strings.TrimSpace(cells[1]) == row {
			return strings.TrimSpace(cells[at]), nil
		}
	}
	return "", fmt.Errorf("no table has a row %q with a column %q", row, column)
}

var firstNumber = regexp.MustCompile(`\d+`)

// median is the number that a cell begins with: "1365 (1323–1394)".
func median(cell string) (int, error) {
	n, err := strconv.Atoi(firstNumber.FindString(cell))
	if err != nil {
		return 0, fmt.Errorf("%q has no number", cell)
	}
	return n, nil
}

// outcome is what one client came to in one fault. Times are in milliseconds.
type outcome struct {
	lost, undone, failed int
	landed               int // from the fault to the first write on the new master
	longest              int // the longest call
}

// fault is one fault of the comparison.
type fault struct {
	promoted int // from the fault to the new master, in milliseconds
	outcomes []outcome
}

var promotion = regexp.MustCompile("From the fault to `ROLE master` on another node: ([0-9]+)")

// readFault reads the figures of the clients from the section of a fault and from its
// column in the table of all faults.
func readFault(text, heading, column string, clients []string) (f fault, err error) {
	part, err := section(text, heading)
	if err != nil {
		return f, err
	}
	totals, err := section(text, "### Lost / resurrected / failed")
	if err != nil {
		return f, err
	}
	m := promotion.FindStringSubmatch(part)
	if m == nil {
		return f, fmt.Errorf("%q does not say when the new master was there", heading)
	}
	if f.promoted, err = median(m[1]); err != nil {
		return f, err
	}
	for _, client := range clients {
		o, err := readOutcome(part, totals, client, column)
		if err != nil {
			return f, fmt.Errorf("%s: %w", heading, err)
		}
		o.landed += f.promoted
		f.outcomes = append(f.outcomes, o)
	}
	return f, nil
}

func readOutcome(part, totals, client, column string) (o outcome, err error) {
	counts, err := cell(totals, client, column)
	if err != nil {
		return o, err
	}
	three := strings.Split(counts, " / ")
	if len(three) != 3 {
		return o, fmt.Errorf("%q: want lost / undone / failed", counts)
	}
	landing, err := cell(part, client, "`ROLE master` to first landed write, ms")
	if err != nil {
		return o, err
	}
	longest, err := cell(part, client, "longest call, ms")
	if err != nil {
		return o, err
	}
	for _, v := range []struct {
		to   *int
		from string
	}{{&o.lost, three[0]}, {&o.undone, three[1]}, {&o.failed, three[2]}, {&o.landed, landing}, {&o.longest, longest}} {
		if *v.to, err = median(v.from); err != nil {
			return o, err
		}
	}
	return o, nil
}
