package dev

import "fmt"

// changes says in plain words what is otherwise than before, in the order in which it mostly happens.
func changes(before, after Snapshot) []string {
	var lines []string
	add := func(format string, a ...any) { lines = append(lines, fmt.Sprintf(format, a...)) }
	for i, n := range after.Nodes {
		lifeChange(n.Name, before.Nodes[i].Life, n.Life, before.Nodes[i].Silent, n.Silent, add)
	}
	for i, w := range after.Sentinels {
		b := before.Sentinels[i]
		lifeChange(w.Name, b.Life, w.Life, b.Silent, w.Silent, add)
	}
	alarms(before, after, add)
	for i, n := range after.Nodes {
		roleChange(before.Nodes[i], n, add)
	}
	states(before, after, add)
	votes(before, after, add)
	return lines
}

func lifeChange(name string, before, after life, wasSilent, silent bool, add func(string, ...any)) {
	switch {
	case before != after && after == dead:
		add("%s is dead", name)
	case before != after && after == stopped:
		add("%s is stopped: it answers nothing", name)
	case before != after:
		add("%s runs", name)
	case after == runs && !wasSilent && silent:
		add("%s does not answer", name)
	case after == runs && wasSilent && !silent:
		add("%s answers again", name)
	}
}

// alarms is what the sentinels think of their master.
func alarms(before, after Snapshot, add func(string, ...any)) {
	if n := after.holdingDown(); n > before.holdingDown() {
		add("%d of %s %s the master down", n, count(len(after.Sentinels), "sentinel"), do(n, "hold"))
	} else if n == 0 && before.holdingDown() > 0 && before.master() == after.master() {
		add("no sentinel holds the master down any more")
	}
	for i, w := range after.Sentinels {
		if w.answers() && w.Leads && !before.Sentinels[i].Leads {
			add("%s leads a failover", w.Name)
		}
	}
}

func roleChange(before, n Node, add func(string, ...any)) {
	if !n.answers() || !before.answers() && before.Master == n.Master && before.Of == n.Of {
		return
	}
	switch {
	case n.Master && (!before.Master || n.Slots > 0 && before.Slots == 0):
		add("%s is master", n.Name)
	case n.Master && n.Slots != before.Slots:
		add("%s serves %d slots", n.Name, n.Slots)
	case !n.Master && n.Of != before.Of:
		add("%s follows %s", n.Name, n.Of)
	case !n.Master && n.LinkUp && !before.LinkUp:
		add("%s is in sync with %s", n.Name, n.Of)
	}
}

// votes is which master the sentinels name.
func votes(before, after Snapshot, add func(string, ...any)) {
	told := map[string]bool{}
	for i, w := range after.Sentinels {
		if !w.answers() || told[w.Names] || w.Names == before.Sentinels[i].Names {
			continue
		}
		told[w.Names] = true
		if n := after.naming(w.Names); n > before.naming(w.Names) {
			add("%d of %s %s %s as master", n, count(len(after.Sentinels), "sentinel"), do(n, "name"), w.Names)
		}
	}
}

// states is what the nodes of a Cluster say of it.
func states(before, after Snapshot, add func(string, ...any)) {
	told := map[string]bool{}
	for i, n := range after.Nodes {
		if b := before.Nodes[i]; told[n.State] || !n.answers() || !b.answers() || n.State == b.State {
			continue
		}
		told[n.State] = true
		saying := 0
		for _, other := range after.Nodes {
			if other.answers() && other.State == n.State {
				saying++
			}
		}
		add("%d of %s %s cluster_state:%s", saying, count(len(after.Nodes), "server"), do(saying, "say"), n.State)
	}
}
