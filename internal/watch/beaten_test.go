package watch

import (
	"testing"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// TestABarrierOfAnotherMasterOrWithoutAnAnswerShowsNothing: nor one of a master
// that is not in use.
func TestABarrierOfAnotherMasterOrWithoutAnAnswerShowsNothing(t *testing.T) {
	beats := 0
	d := &supervisor{now: sentinel.Decision{Master: addr(1), Confirmed: true}, seat: seat{node: new(remote.Node), up: true}, hooks: Hooks{Beat: func(*remote.Node, Beat) { beats++ }}}
	d.beaten(sentinel.Barrier{Node: addr(2)})
	d.beaten(sentinel.Barrier{Node: addr(1), Fault: sentinel.FaultTimeout})
	d.seat.up = false
	d.beaten(sentinel.Barrier{Node: addr(1)})
	if beats != 0 {
		t.Errorf("%d count", beats)
	}
}

// TestAFencedMasterIsNotInUse though its connection and its barrier are kept.
func TestAFencedMasterIsNotInUse(t *testing.T) {
	n := new(remote.Node)
	ups, downs := 0, 0
	d := &supervisor{hooks: Hooks{
		Up:   func(*remote.Node) { ups++ },
		Down: func(error) { downs++ },
	}}
	d.seat = d.newSeat()
	d.seat.node, d.seat.generation = n, 5
	for _, tt := range []struct {
		stage      sentinel.Stage
		ups, downs int
	}{
		{sentinel.Clear, 1, 0},
		{sentinel.Suspect, 1, 0},
		{sentinel.Fenced, 1, 1},
		{sentinel.Degraded, 1, 1},
		{sentinel.Suspect, 2, 1},
		{sentinel.Degraded, 2, 2},
		{sentinel.Clear, 3, 2},
	} {
		d.now = sentinel.Decision{Stage: tt.stage, Master: addr(1), Generation: 5}
		d.syncNode()
		if ups != tt.ups || downs != tt.downs || d.seat.node != n {
			t.Fatalf("%v: up %d times and down %d, want %d and %d", tt.stage, ups, downs, tt.ups, tt.downs)
		}
	}
}
