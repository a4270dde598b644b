package overview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/table"
)

// Text shows the view for people, in lines of at most width characters (0: any).
func (v View) Text(width int, colour bool) string {
	lines := append([]string{}, table.Cut(v.headline(), width))
	if v.Evercache != nil {
		lines = append(lines, table.Cut(v.Evercache.line(), width))
		if v.Evercache.Short {
			lines = append(lines, "It tells no more without its token: set EVERCACHE_TOKEN or EVERCACHE_TOKEN_FILE.")
		}
	}
	if len(v.Nodes) > 0 {
		lines = append(lines, "")
		lines = append(lines, table.Layout(v.nodeRows(), width, colour)...)
	}
	if len(v.Sentinels) > 0 {
		lines = append(lines, "")
		lines = append(lines, table.Layout(v.sentinelRows(), width, colour)...)
	}
	lines = append(lines, "")
	lines = append(lines, table.Layout(v.verdict(), 0, colour)...)
	return strings.Join(lines, "\n") + "\n"
}

func (v View) headline() string {
	parts := []string{v.title()}
	add := func(format string, a ...any) { parts = append(parts, fmt.Sprintf(format, a...)) }
	if v.Master != "" && v.Mode == "sentinel" {
		add("master %s", v.Master)
	}
	if v.MasterSince != nil {
		add("since %s (%s)", v.MasterSince.Format(time.RFC3339), ago(v.At.Sub(*v.MasterSince)))
	}
	if v.Quorum != nil || v.Slots != nil {
		add("epoch %d", v.Epoch)
	}
	if q := v.Quorum; q != nil {
		add("%d of %d sentinels answer, %d agree, %d needed, quorum %d", q.Answering, q.Known, q.Agreeing, q.Needed, q.Configured)
	}
	if s := v.Slots; s != nil {
		add("%d of %d slots served, %d moving", s.Owned, allSlots, s.Moving)
	}
	return strings.Join(parts, "  ")
}

func (v View) title() string {
	switch v.Mode {
	case "sentinel":
		return strings.TrimSpace(v.MasterName + " (Sentinel set)")
	case "cluster":
		return "Redis Cluster"
	case "standalone":
		return "one server"
	}
	return v.Mode
}

// ago is a time for people.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

func (e Evercache) line() string {
	text := "evercache  " + e.Status
	if e.State != "" {
		text += " (" + e.State + ")"
	}
	text += ": " + e.Message
	if e.Outbox > 0 {
		text += fmt.Sprintf("  %d writes wait", e.Outbox)
	}
	return text
}

func (v View) nodeRows() []table.Row {
	head := []string{"Node", "Role", "State", "Link", "Lag", "Prio", "Memory", "Clients", "Version"}
	if v.Mode == "cluster" {
		head = append(head, "Epoch", "Slots")
	}
	rows := []table.Row{table.Of(table.Plain, head...)}
	for _, n := range v.Nodes {
		rows = append(rows, v.nodeRow(n))
	}
	return withoutEmpty(rows)
}

// withoutEmpty leaves out the columns in which nothing stands but the head.
func withoutEmpty(rows []table.Row) []table.Row {
	if len(rows) == 0 {
		return rows
	}
	out := make([]table.Row, len(rows))
	for i := range rows[0].Cells {
		used := slices.ContainsFunc(rows[1:], func(r table.Row) bool { return i < len(r.Cells) && r.Cells[i] != "" })
		for n, r := range rows {
			out[n].Tone = r.Tone
			if used && i < len(r.Cells) {
				out[n].Cells = append(out[n].Cells, r.Cells[i])
			}
		}
	}
	return out
}

func (v View) nodeRow(n Node) table.Row {
	if n.State == stateUnreachable {
		return table.Of(table.Bad, n.Address, n.Role, strings.TrimSuffix(n.State+": "+n.Error, ": "))
	}
	role := n.Role
	if n.Role == "replica" && v.Mode == "cluster" {
		role = "  replica"
	}
	cells := []string{n.Address, role, n.State, n.Link, number(n.LagBytes, table.Size), number(n.Priority, plain), n.memory(), number(n.Clients, plain), n.Version}
	if v.Mode == "cluster" {
		cells = append(cells, fmt.Sprint(n.Epoch), n.slots())
	}
	return table.Of(v.tone(n), cells...)
}

func (v View) tone(n Node) table.Tone {
	switch {
	case n.Role == "master" && n.State == stateWritable:
		return table.Good
	case n.Role == "replica" && n.Link == "up" && (v.Mode == "cluster" || n.Follows == v.Master):
		return table.Plain
	case n.State == stateIdle, n.State == stateKnown:
		return table.Plain
	}
	return table.Warn
}

func plain(n int64) string { return fmt.Sprint(n) }

func number(n *int64, say func(int64) string) string {
	if n == nil {
		return ""
	}
	return say(*n)
}

func (n Node) memory() string {
	switch {
	case n.MemoryBytes == nil:
		return ""
	case n.MaxMemoryBytes == nil || *n.MaxMemoryBytes == 0:
		return table.Size(*n.MemoryBytes)
	}
	return table.Size(*n.MemoryBytes) + " / " + table.Size(*n.MaxMemoryBytes)
}

func (n Node) slots() string {
	if n.SlotCount == 0 {
		return ""
	}
	return fmt.Sprintf("%d: %s", n.SlotCount, n.Ranges)
}

func (v View) sentinelRows() []table.Row {
	rows := []table.Row{table.Of(table.Plain, "Sentinel", "Names master", "Epoch", "Peers", "Quorum", "State")}
	for _, s := range v.Sentinels {
		if s.Error != "" {
			rows = append(rows, table.Of(table.Bad, s.Address, s.State+": "+s.Error))
			continue
		}
		look := table.Plain
		if s.State != watcherOK || s.Names != v.Master || s.QuorumOK != nil && !*s.QuorumOK {
			look = table.Warn
		}
		peers, quorum := "", ""
		if s.Peers != nil {
			peers = fmt.Sprint(*s.Peers)
		}
		if s.QuorumOK != nil {
			if quorum = "none"; *s.QuorumOK {
				quorum = "ok"
			}
		}
		rows = append(rows, table.Of(look, s.Address, s.Names, fmt.Sprint(s.Epoch), peers, quorum, s.State))
	}
	return withoutEmpty(rows)
}

// verdict is the end: well, or what is not.
func (v View) verdict() []table.Row {
	switch v.Status {
	case Well:
		return []table.Row{table.Of(table.Good, "well")}
	case Unknown:
		return append([]table.Row{table.Of(table.Bad, "unknown: nobody has answered")}, v.problemRows()...)
	}
	return append([]table.Row{table.Of(table.Bad, "not well:")}, v.problemRows()...)
}

func (v View) problemRows() (rows []table.Row) {
	for _, p := range v.Problems {
		rows = append(rows, table.Of(table.Plain, "  - "+p))
	}
	return rows
}
