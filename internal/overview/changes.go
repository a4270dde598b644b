package overview

import "fmt"

// Changes says in plain words what is otherwise than in an earlier view of the same set.
func Changes(before, after View) []string {
	var lines []string
	add := func(format string, a ...any) { lines = append(lines, fmt.Sprintf(format, a...)) }
	for _, n := range after.Nodes {
		old := before.node(n.Address)
		if old == nil {
			add("%s is named, and was not before: %s, %s", n.Address, n.Role, n.State)
			continue
		}
		nodeChange(*old, n, add)
	}
	for _, n := range before.Nodes {
		if after.node(n.Address) == nil {
			add("%s is not named any more", n.Address)
		}
	}
	if b, a := before.Slots, after.Slots; b != nil && a != nil {
		slotChange(*b, *a, add)
	}
	return lines
}

func nodeChange(before, after Node, add func(string, ...any)) {
	away, was := after.State == stateUnreachable, before.State == stateUnreachable
	switch {
	case away && !was:
		add("%s does not answer: %s", after.Address, after.Error)
	case away:
	case was:
		add("%s answers again: %s, %s", after.Address, after.Role, after.State)
	case after.Role != before.Role && after.Role == "master":
		add("%s is master", after.Address)
	case after.Role != before.Role:
		add("%s is a %s of %s", after.Address, after.Role, after.Follows)
	case after.Follows != before.Follows:
		add("%s follows %s", after.Address, after.Follows)
	case after.SlotCount != before.SlotCount:
		add("%s serves %d slots, it was %d", after.Address, after.SlotCount, before.SlotCount)
	case after.State != before.State:
		add("%s: %s", after.Address, after.State)
	}
}

func slotChange(before, after Slots, add func(string, ...any)) {
	switch {
	case after.Unowned == before.Unowned:
	case after.Unowned == 0:
		add("all slots have a master again")
	default:
		add("%d slots have no master that answers", after.Unowned)
	}
	if (after.Moving == 0) != (before.Moving == 0) {
		add("%d slots are on the move", after.Moving)
	}
}
