package remote

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/slot"
)

// lonely is a Cluster of one node that owns all slots.
func lonely(t *testing.T, o redisproc.Options) (p *redisproc.Process, id string) {
	t.Helper()
	o.Config = append(o.Config, "cluster-enabled yes", "cluster-require-full-coverage no")
	p = startRedis(t, o)
	ask(t, p, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(ask(t, p, "CLUSTER", "INFO").(string), "cluster_state:ok"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the Cluster is not well in time")
		}
	}
	return p, ask(t, p, "CLUSTER", "MYID").(string)
}

func dialNode(t *testing.T, p *redisproc.Process, id string, change func(*Heartbeat)) (*Node, error) {
	t.Helper()
	c, h := config(p.Addr()), heartbeat
	c.NodeID = id
	change(&h)
	n, err := Dial(t.Context(), c, h, observer(func(string, time.Duration, Kind) {}))
	if err == nil {
		t.Cleanup(n.Abandon)
	}
	return n, err
}

// TestAnotherClusterNodeIsNotWrittenTo: not even asked what it has.
func TestAnotherClusterNodeIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	p, id := lonely(t, redisproc.Options{})
	other := strings.Repeat("ab", 20)
	if _, err := dialNode(t, p, other, func(*Heartbeat) {}); !errors.Is(err, ErrOtherNode) || !strings.Contains(err.Error(), id) {
		t.Errorf("dial = %v, want ErrOtherNode that names it", err)
	}
	if stats := ask(t, p, "INFO", "commandstats").(string); strings.Contains(stats, "cmdstat_set:") || strings.Contains(stats, "cmdstat_eval:") {
		t.Errorf("it was asked more than who it is: %s", stats)
	}
	n, err := dialNode(t, p, id, func(*Heartbeat) {})
	if err != nil || n.ID != id || n.Run() == "" {
		t.Errorf("dial of the right one = %+v, %v", n, err)
	}
}

// TestANodeThatMayNotTellItsIDIsKnownByItsOwnLine.
func TestANodeThatMayNotTellItsIDIsKnownByItsOwnLine(t *testing.T) {
	t.Parallel()
	p, id := lonely(t, redisproc.Options{Users: []redisproc.User{{Name: "app", Password: "p", Rules: []string{"~*", "&*", "+@all", "-cluster|myid"}}}})
	c := config(p.Addr())
	c.Username, c.Password = "app", "p"
	for want, good := range map[string]bool{id: true, strings.Repeat("ab", 20): false} {
		c.NodeID = want
		n, err := Dial(t.Context(), c, heartbeat, observer(func(string, time.Duration, Kind) {}))
		if err == nil {
			n.Abandon()
		}
		if (err == nil) != good || !good && !errors.Is(err, ErrOtherNode) {
			t.Errorf("dial for %s = %v", want, err)
		}
	}
}

// replacing counts what a node tells its book.
type replacing struct {
	lone

	held     []Held
	replaced int
}

func (b *replacing) Found(_ *Node, h Held)  { b.held = append(b.held, h) }
func (b *replacing) Replaced(*Node, uint64) { b.replaced++ }

// TestAHeartbeatMovesToAnotherKey: that none of ours is there is no sign of another
// dataset; that it is gone later is.
func TestAHeartbeatMovesToAnotherKey(t *testing.T) {
	t.Parallel()
	p, id := lonely(t, redisproc.Options{})
	b := &replacing{}
	n, err := dialNode(t, p, id, func(h *Heartbeat) { h.Book, h.Key, h.Fresh = b, "one", true })
	if err != nil {
		t.Fatal(err)
	}
	if len(b.held) != 1 || !b.held[0].Fresh || b.held[0].Barrier != 0 || b.held[0].Dataset != "" {
		t.Errorf("it held %+v", b.held)
	}
	beat := func(want string) {
		t.Helper()
		n.twins.looked = time.Time{} // the other connection is looked at each time
		if got, err := n.Barrier(t.Context(), 0); err != nil || got.Key != want {
			t.Fatalf("beat under %q: %v, want %q", got.Key, err, want)
		}
	}
	beat("one")
	n.SetHeartbeatKey("two")
	ask(t, p, "DEL", "one")
	for range 2 * lookMost {
		beat("two")
	}
	if b.replaced != 0 || n.OpenErr().(*OpenError).Last != nil {
		t.Errorf("replaced %d times, %v", b.replaced, n.OpenErr())
	}
	ask(t, p, "FLUSHALL")
	beat("two")
	if b.replaced != 1 {
		t.Errorf("replaced %d times after FLUSHALL", b.replaced)
	}
}

// TestMoreIsAskedBehindABarrier on its connection, also where its slot has gone.
func TestMoreIsAskedBehindABarrier(t *testing.T) {
	t.Parallel()
	p, id := lonely(t, redisproc.Options{})
	var questions [][]string
	n, err := dialNode(t, p, id, func(h *Heartbeat) { h.Key, h.Behind = "k", func() [][]string { return questions } })
	if err != nil {
		t.Fatal(err)
	}
	if b, err := n.Barrier(t.Context(), 0); err != nil || b.Behind != nil {
		t.Errorf("nothing was asked: %v, %v", b.Behind, err)
	}
	questions = [][]string{{"CLUSTER", "MYID"}, {"NOSUCH"}}
	for _, gone := range []bool{false, true} {
		if gone {
			ask(t, p, "CLUSTER", "DELSLOTS", strconv.Itoa(int(slot.Of("k"))))
		}
		b, err := n.Barrier(context.WithoutCancel(t.Context()), 0)
		if (err != nil) != gone || len(b.Behind) != 2 || b.Behind[0].Text() != id || KindOf(b.Behind[1].Err) != Lacks {
			t.Errorf("slot gone %v: %v, %+v", gone, err, b.Behind)
		}
		if gone && !strings.HasPrefix(ReplyIn(err), "CLUSTERDOWN") {
			t.Errorf("the reply is %q", ReplyIn(err))
		}
	}
}
