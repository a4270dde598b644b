package dev

import (
	"fmt"

	"github.com/evercache/evercache/internal/table"
)

// table shows the servers, one a line.
func (s Snapshot) table() []table.Row {
	var rows []table.Row
	for _, n := range s.Nodes {
		rows = append(rows, s.nodeRow(n))
	}
	for _, w := range s.Sentinels {
		rows = append(rows, watcherRow(w, s.master()))
	}
	return rows
}

func (s Snapshot) nodeRow(n Node) table.Row {
	cells := []string{n.Name, n.Addr}
	switch {
	case n.Life != runs:
		return table.Of(table.Bad, append(cells, string(n.Life))...)
	case n.Silent:
		return table.Of(table.Bad, append(cells, "does not answer")...)
	case n.Master:
		return table.Of(s.masterTone(n), append(cells, "master", n.masterNote(), fmt.Sprintf("pid %d", n.Pid))...)
	}
	link, look := "link up", table.Plain
	switch {
	case !n.LinkUp:
		link, look = "link down", table.Warn
	case n.Lag >= 0:
		link = "link up, lag " + table.Size(n.Lag)
	}
	return table.Of(look, append(cells, "replica of "+n.Of, link, fmt.Sprintf("pid %d", n.Pid))...)
}

func (n Node) masterNote() string {
	note := count(int(n.Keys), "key")
	if n.Slots > 0 {
		note += fmt.Sprintf(", %d slots", n.Slots)
	}
	if n.State != "" && n.State != "ok" {
		note += ", cluster_state:" + n.State
	}
	return note
}

func (s Snapshot) masterTone(n Node) table.Tone {
	if s.Mode == Sentinel && s.master() != n.Name {
		return table.Warn
	}
	return table.Good
}

func watcherRow(w Watcher, master string) table.Row {
	cells := []string{w.Name, w.Addr}
	switch {
	case w.Life != runs:
		return table.Of(table.Bad, append(cells, string(w.Life))...)
	case w.Silent:
		return table.Of(table.Bad, append(cells, "does not answer")...)
	}
	note, look := fmt.Sprintf("epoch %d", w.Epoch), table.Plain
	switch {
	case w.Leads:
		note, look = "leads a failover", table.Warn
	case w.ODown:
		note, look = "holds it down, and so do others", table.Warn
	case w.Down:
		note, look = "holds it down", table.Warn
	}
	if w.Names != master {
		look = table.Warn
	}
	return table.Of(look, append(cells, "names "+w.Names, note, fmt.Sprintf("pid %d", w.Pid))...)
}
