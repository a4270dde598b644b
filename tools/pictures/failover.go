package main

import "fmt"

// clients are compared; the rows of the tables have these names.
var clients = []string{"evercache", "go-redis, tuned", "rueidis, tuned"}

// strip is a part of a client's time line, from the fault or the strip before.
type strip struct {
	until       int // milliseconds after the fault
	fill, label string
}

const (
	labels = 150 // where the time lines begin
	scale  = 510 // how long they are
	high   = 30  // a row
)

// failoverPicture shows what callers see in a crash and in a planned failover.
func failoverPicture(results string) (string, error) {
	kill, err := readFault(results, "### kill -9 of the master", "kill", clients)
	if err != nil {
		return "", err
	}
	planned, err := readFault(results, "### planned SENTINEL FAILOVER", "planned", clients)
	if err != nil {
		return "", err
	}
	c := newCanvas(900, 402, "What callers see when the master fails")
	c.text(20, 32, font(18, ink)+` font-weight="600"`, "What callers see when the master fails")
	panel(c, 66, "The master is killed", kill, 3200, crash)
	panel(c, 226, "A planned failover", planned, 1500, handover)
	c.text(20, 368, font(11, grey), "Green: writes reach the new master, from the time that is written there. Yellow: evercache keeps writes in memory, or lets them wait for the new master.")
	c.text(20, 388, font(11, grey), "Medians of 3 runs; all clients on the same Sentinel set at the same time, 170 calls a second each. Tables and command: bench/RESULTS.md")
	return c.end(), nil
}

// crash is a time line after a kill.
func crash(i int, o outcome) strip {
	if i == 0 {
		return strip{o.landed, kept, "memory answers all calls"}
	}
	return strip{o.landed, bad, "calls fail"}
}

// handover is a time line after SENTINEL FAILOVER.
func handover(i int, o outcome) strip {
	if i == 0 {
		return strip{o.landed, kept, ""}
	}
	return strip{o.landed, bad, "the old master acknowledges writes that are lost"}
}

// verdict is what is left in the end.
func verdict(o outcome) string {
	switch {
	case o.lost == 0 && o.undone == 0 && o.failed == 0:
		return "no failed call, nothing lost"
	case o.failed > 0 && o.lost == 0:
		return fmt.Sprintf("%d failed calls", o.failed)
	}
	return fmt.Sprintf("%d writes lost, %d deletes undone", o.lost, o.undone)
}

func panel(c *canvas, y int, title string, f fault, most int, of func(int, outcome) strip) {
	at := func(ms int) int { return labels + scale*ms/most }
	c.text(20, y, font(14, ink)+` font-weight="600"`, title)
	c.text(at(f.promoted)+4, y, font(11, grey), fmt.Sprintf("new master after %d ms", f.promoted))
	for i, o := range f.outcomes {
		top := y + 12 + high*i
		s := of(i, o)
		c.text(20, top+16, font(13, ink), clients[i])
		c.add(`<rect x="%d" y="%d" width="%d" height="22" fill="%s"/>`, labels, top, scale, good)
		c.add(`<rect x="%d" y="%d" width="%d" height="22" fill="%s"/>`, labels, top, at(s.until)-labels, s.fill)
		c.text(labels+8, top+15, font(12, "#ffffff"), s.label)
		c.text(at(s.until)+8, top+15, font(12, "#ffffff"), fmt.Sprintf("%d ms", s.until))
		c.text(labels+scale+12, top+16, font(12, ink), verdict(o))
	}
	bottom := y + 12 + high*len(f.outcomes)
	c.add(`<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-dasharray="4 3"/>`, at(f.promoted), y+4, at(f.promoted), bottom, ink)
	c.text(labels, bottom+12, font(11, grey), "0 (fault)")
	c.text(labels+scale, bottom+12, font(11, grey)+` text-anchor="end"`, fmt.Sprintf("%d ms", most))
}
