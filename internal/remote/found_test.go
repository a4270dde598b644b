package remote

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// keeper is a Book that remembers in which order it was asked.
type keeper struct {
	mu    sync.Mutex // guards what follows
	lines []string
	found []Held
	marks []string
	look  func() // called in Found
}

func (d *keeper) NextBarrier(*Node) (uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, "barrier")
	return 99, true
}

func (d *keeper) Replaced(*Node, uint64) {}

func (d *keeper) Marked(_ *Node, marker string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines, d.marks = append(d.lines, "marked"), append(d.marks, marker)
}

// marker is the last one that it was told.
func (d *keeper) marker() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.marks) == 0 {
		return ""
	}
	return d.marks[len(d.marks)-1]
}

func (d *keeper) Found(_ *Node, h Held) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines, d.found = append(d.lines, "found"), append(d.found, h)
	d.look()
}

// TestANodeIsAskedWhatItHoldsBeforeAnythingIsWrittenThere: our own new barrier
// would vouch for what was never written there.
func TestANodeIsAskedWhatItHoldsBeforeAnythingIsWrittenThere(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	ask(t, p, "SET", "~b:test", "41")
	ask(t, p, "SET", "~dataset", "it")
	d := &keeper{}
	var then any
	d.look = func() { then = ask(t, p, "GET", "~b:test") }
	h := heartbeat
	h.Book, h.Marker = d, "~dataset"
	n, err := Dial(t.Context(), config(p.Addr()), h, observer(func(string, time.Duration, Kind) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Abandon)
	if len(d.found) != 1 || d.lines[0] != "found" {
		t.Fatalf("asked in the order %v", d.lines)
	}
	if e := d.found[0].Evictions; !e.Never || e.Run == "" || e.Policy != "noeviction" || e.Commands == 0 {
		t.Errorf("it says of what it evicts %+v", e)
	}
	d.found[0].Evictions = Evictions{}
	if want := (Held{Addr: p.Addr(), Barrier: 41, Dataset: "it"}); !reflect.DeepEqual(d.found[0], want) {
		t.Errorf("found %+v, want %+v", d.found[0], want)
	}
	if then != "41" {
		t.Errorf("~b:test was %v by then", then)
	}
	if now := ask(t, p, "GET", "~b:test"); now != "99" {
		t.Errorf("~b:test is %v after the dial", now)
	}
}
