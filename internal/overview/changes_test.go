package overview

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangesAreToldInPlainWords(t *testing.T) {
	well := View{Slots: &Slots{Owned: allSlots}, Nodes: []Node{
		{Address: a, Role: "master", State: stateWritable, SlotCount: 8192},
		{Address: b, Role: "replica", State: stateStreaming, Link: "up", Follows: a},
	}}
	with := func(change func(*View)) View {
		v := well
		v.Nodes, v.Slots = slices.Clone(well.Nodes), new(*well.Slots)
		change(&v)
		return v
	}
	away := with(func(v *View) {
		v.Nodes[0] = Node{Address: a, Role: "unknown", State: stateUnreachable, Error: "connection refused"}
		v.Slots.Owned, v.Slots.Unowned = 8192, 8192
	})
	promoted := with(func(v *View) {
		v.Nodes[0] = away.Nodes[0]
		v.Nodes[1] = Node{Address: b, Role: "master", State: stateWritable, SlotCount: 8192}
	})
	for _, tt := range []struct {
		name          string
		before, after View
		want          []string
	}{
		{"nothing", well, well, nil},
		{"a master goes away", well, away, []string{a + " does not answer: connection refused", "8192 slots have no master that answers"}},
		{"it stays away", away, away, nil},
		{"its replica takes over", away, promoted, []string{b + " is master", "all slots have a master again"}},
		{"it comes back", promoted, with(func(v *View) {
			v.Nodes[0] = Node{Address: a, Role: "replica", State: stateSyncing, Follows: b}
			v.Nodes[1] = promoted.Nodes[1]
		}), []string{a + " answers again: replica, syncing"}},
		{"demoted", promoted, with(func(v *View) { v.Nodes[0] = promoted.Nodes[0] }), []string{b + " is a replica of " + a}},
		{"another master", well, with(func(v *View) { v.Nodes[1].Follows = c }), []string{b + " follows " + c}},
		{"in sync no more", well, with(func(v *View) { v.Nodes[1].State = "connect" }), []string{b + ": connect"}},
		{"slots move", well, with(func(v *View) { v.Nodes[0].SlotCount, v.Slots.Moving = 8191, 1 }), []string{a + " serves 8191 slots, it was 8192", "1 slots are on the move"}},
		{"a node comes and one goes", well, with(func(v *View) { v.Nodes[1] = Node{Address: c, Role: "replica", State: stateStreaming} }), []string{
			c + " is named, and was not before: replica, streaming", b + " is not named any more",
		}},
	} {
		if diff := cmp.Diff(tt.want, Changes(tt.before, tt.after)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
