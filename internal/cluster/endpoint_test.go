package cluster

import (
	"fmt"
	"testing"
)

func TestWhatANodeCallsOthersIsReadFromARedirection(t *testing.T) {
	lines := []Line{
		{ID: ID{1}, Addr: addrOf(t, "10.0.0.1:7000"), Name: addrOf(t, "redis-1:7000")},
		{ID: ID{2}, Addr: addrOf(t, "10.0.0.2:7000")},
		{ID: ID{3}, Addr: addrOf(t, "10.0.0.3:7000"), Name: addrOf(t, "10.0.0.3:7000")},
	}
	for to, want := range map[string]Endpoint{
		"redis-1:7000":  EndpointName,
		"10.0.0.1:7000": EndpointAddress,
		"10.0.0.2:7000": EndpointUnknown, // it has no other
		"10.0.0.3:7000": EndpointUnknown, // both are the same
		"redis-9:7000":  EndpointUnknown,
		"":              EndpointUnknown,
	} {
		if got := EndpointIn(Redirect{Addr: addrOf(t, to)}, lines); got != want {
			t.Errorf("%q is read as %d, want %d", to, got, want)
		}
	}
}

func TestASlotOfANamedNodeIsAskedFor(t *testing.T) {
	w := newWorld(t, 2, 1)
	ask := func(name string) string {
		a := w.node(name).answer(w)
		s, ok := a.Elsewhere()
		return fmt.Sprint(s, ok)
	}
	if got := ask("n0"); got != "0 false" {
		t.Errorf("of nodes without names %s is asked for", got)
	}
	w.announceNames()
	for name, want := range map[string]string{"n0": fmt.Sprint(per, true), "n1": "0 true", "n2": "0 true"} {
		if got := ask(name); got != want {
			t.Errorf("%s is asked for %s, want %s", name, got, want)
		}
	}
}

// announceNames gives every node a name that all know.
func (w *world) announceNames() {
	for _, n := range w.nodes {
		n.line.Name = Addr{Host: n.name + ".example", Port: n.addr.Port}
	}
	w.gossipAll()
}

// TestNodesAreDialledByNameWhereAllCallEachOtherSo, and by address while one does not.
func TestNodesAreDialledByNameWhereAllCallEachOtherSo(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.announceNames()
	for _, tt := range []struct {
		why   string
		calls [4]Endpoint
		names bool
	}{
		{"nobody tells", [4]Endpoint{}, false},
		{"one calls them by name", [4]Endpoint{EndpointName}, true},
		{"another one does not", [4]Endpoint{EndpointName, EndpointAddress}, false},
		{"it has told before", [4]Endpoint{EndpointName, EndpointUnknown}, false},
		{"all call them by name", [4]Endpoint{EndpointName, EndpointName, EndpointName, EndpointName}, true},
	} {
		for i, n := range w.nodes {
			n.calls = tt.calls[i]
		}
		w.hearAll()
		w.hearAll()
		asked := map[Addr]bool{}
		for _, a := range w.d.Asks {
			asked[a.Addr] = true
		}
		for _, n := range w.nodes {
			if asked[n.line.Name] != tt.names {
				t.Errorf("%s: asked are %v", tt.why, asked)
			}
		}
	}
}
