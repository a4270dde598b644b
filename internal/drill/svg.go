package drill

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the picture.
const (
	svgWidth  = 960
	svgLeft   = 150
	svgRight  = 20
	svgLane   = 56
	svgTop    = 76
	svgBottom = 44
)

// The colours are told apart in grey too.
const (
	colourServer = "#2b6cb0"
	colourMemory = "#68a063"
	colourFailed = "#d1242f"
)

// lane is one row of the picture: what is stacked in each part of the time, from the bottom.
type lane struct {
	name   string
	stacks [][3]int // by server, from memory, failed
}

// lanes are two for each client.
func (r Report) lanes() (all []lane) {
	for _, c := range r.Clients {
		reads, writes := lane{name: c.Name + ": reads"}, lane{name: c.Name + ": writes"}
		for _, s := range c.Series {
			reads.stacks = append(reads.stacks, [3]int{max(0, s.Reads-s.FailedReads-s.MemoryReads), s.MemoryReads, s.FailedReads})
			writes.stacks = append(writes.stacks, [3]int{s.Landed, s.Kept, s.Failed})
		}
		all = append(all, reads, writes)
	}
	return all
}

// SVG is the time line as a picture.
func (r Report) SVG() string {
	lanes := r.lanes()
	height := svgTop + svgLane*len(lanes) + svgBottom
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", svgWidth, height, svgWidth, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", html.EscapeString("Drill "+r.Trigger+": "+r.Outcome))
	fmt.Fprintf(&b, "<text x=\"12\" y=\"22\" font-size=\"15\">%s</text>\n", html.EscapeString(fmt.Sprintf("Drill: %s, %s, %s", r.Trigger, r.Mode, r.Outcome)))
	x := svgLeft
	for _, l := range []struct{ colour, text string }{{colourServer, "by a server"}, {colourMemory, "from memory, or kept for the next master"}, {colourFailed, "failed"}} {
		fmt.Fprintf(&b, `<rect x="%d" y="34" width="10" height="10" fill="%s"/><text x="%d" y="43">%s</text>`+"\n", x, l.colour, x+15, l.text)
		x += 40 + 7*len(l.text)
	}
	for i, l := range lanes {
		l.svg(&b, svgTop+svgLane*i)
	}
	r.svgMarks(&b, height)
	b.WriteString("</svg>\n")
	return b.String()
}

func (l lane) svg(b *strings.Builder, top int) {
	fmt.Fprintf(b, `<text x="12" y="%d">%s</text><line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#999999"/>`+"\n",
		top+svgLane/2+4, html.EscapeString(l.name), svgLeft, svgWidth-svgRight, top+svgLane-6, top+svgLane-6)
	most := 1
	for _, s := range l.stacks {
		most = max(most, s[0]+s[1]+s[2])
	}
	wide := float64(svgWidth-svgLeft-svgRight) / float64(max(1, len(l.stacks)))
	for i, s := range l.stacks {
		y := float64(top + svgLane - 6)
		for part, colour := range []string{colourServer, colourMemory, colourFailed} {
			if s[part] == 0 {
				continue
			}
			high := float64(svgLane-14) * float64(s[part]) / float64(most)
			y -= high
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", svgLeft+float64(i)*wide, y, max(wide-0.5, 0.5), high, colour)
		}
	}
}

// svgMarks are the moments, as lines through all lanes, and the seconds.
func (r Report) svgMarks(b *strings.Builder, height int) {
	if r.TrafficMS <= 0 {
		return
	}
	at := func(ms float64) float64 { return svgLeft + ms/r.TrafficMS*float64(svgWidth-svgLeft-svgRight) }
	for i := range 6 {
		ms := r.TrafficMS * float64(i) / 5
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555555">%.1f s</text>`+"\n", at(ms), height-26, ms/1000)
	}
	if r.TriggerMS == nil {
		return
	}
	for i, m := range []struct {
		name string
		ms   *float64
	}{{"trigger", new(0.0)}, {"promoted", r.Servers.PromotedMS}, {"all agree", r.Servers.ConvergedMS}} {
		if m.ms == nil || *r.TriggerMS+*m.ms > r.TrafficMS {
			continue
		}
		x := at(*r.TriggerMS + *m.ms)
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="58" y2="%d" stroke="#222222" stroke-dasharray="3 3"/><text x="%.1f" y="%d">%s</text>`+"\n", x, x, height-40, x+3, 58+9*i, m.name)
	}
}
