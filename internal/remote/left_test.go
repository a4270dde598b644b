package remote

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// What is still on its way over a connection that was given up is executed no more
// once the next node is there.
func TestADialHasTheServerCloseWhatWasGivenUp(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	h := heartbeat
	h.Left = new(Left)
	first, err := Dial(t.Context(), config(p.Addr()), h, &seen{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Abandon()
	bystander := dial(t, p.Addr(), nil)
	for _, one := range first.ids { // as Abandon does, but its bytes are not stopped
		h.Left.add(one)
	}
	next, err := Dial(t.Context(), config(p.Addr()), h, &seen{})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Abandon()
	if _, err := first.Set(t.Context(), Pair{Key: "app:late", Data: []byte("v"), TTL: time.Minute}, time.Second); KindOf(err) != Conn {
		t.Errorf("a command over what was given up: %v", err)
	}
	if b, err := first.Barrier(t.Context(), 0); err == nil {
		t.Errorf("a barrier over what was given up: %+v", b)
	}
	for name, n := range map[string]*Node{"a bystander": bystander, "the next": next} {
		if err := n.PingFeed(t.Context(), long); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(h.Left.all) != 0 {
		t.Errorf("%d are still to be closed", len(h.Left.all))
	}
}

// The numbers of connections begin anew with each run of a server.
func TestAConnectionOfAnotherRunIsNotClosed(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	victim := dial(t, p.Addr(), nil)
	h := heartbeat
	h.Left = new(Left)
	h.Left.add(leftOne{"another run", victim.ids[0].id})
	for range 3 * maxLeft {
		h.Left.add(leftOne{"another run", 1})
	}
	n, err := Dial(t.Context(), config(p.Addr()), h, &seen{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Abandon()
	if err := victim.PingFeed(t.Context(), long); err != nil {
		t.Errorf("it was closed: %v", err)
	}
	if len(h.Left.all) > maxLeft {
		t.Errorf("%d are remembered", len(h.Left.all))
	}
}
