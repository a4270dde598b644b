package remote

import (
	"testing"

	"github.com/evercache/evercache/internal/redisproc"
)

// A name with several addresses is resolved once for a node: what is dialled
// later goes where its first connection went.
func TestEveryConnectionOfANodeGoesToTheSameAddress(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	c := n.Beside(Config{Addr: "nowhere.invalid:1", DialTimeout: long})
	l, err := DialLink(t.Context(), c)
	if err != nil {
		t.Fatalf("the link does not go where the node is: %v", err)
	}
	defer l.Close()
	if err := n.Meets(t.Context(), l); err != nil {
		t.Error(err)
	}
	c.Addr, c.At = p.Addr(), "127.0.0.1:1"
	if l, err := DialLink(t.Context(), c); err == nil {
		l.Close()
		t.Error("the address that was found first is not used")
	}
}

func TestWhatAnotherConnectionFindsTellsTheServersApart(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	for _, tt := range []struct {
		holds string
		want  uint64
		is    sight
	}{{"7", 7, together}, {"8", 7, together}, {"6", 7, apart}, {"nonsense", 7, unsure}, {"7", 0, unsure}} {
		ask(t, p, "SET", "k", tt.holds)
		text, err := n.cmd.glance(t.Context(), "k")
		if got := seenBarrier(text, err, tt.want); got != tt.is {
			t.Errorf("%q after %d: %v, want %v", tt.holds, tt.want, got, tt.is)
		}
	}
	ask(t, p, "DEL", "k")
	text, err := n.cmd.glance(t.Context(), "k")
	if got := seenBarrier(text, err, 1); got != unsure || !IsNil(err) {
		t.Errorf("nothing: %v", got)
	}
}
