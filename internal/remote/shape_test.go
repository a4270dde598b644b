package remote

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// The server answers nothing, and more is asked than the ring has room for.
func TestAQuestionToAServerThatHangsWaitsNoLongerThanItsContext(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Resume() })
	const asked = 40 // more than 1<<questions.ring
	done := make(chan int, asked)
	go func() { // ends with the node
		for i := range asked {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			if i%2 == 0 {
				_ = n.beat.Do(ctx, n.beat.B().Ping().Build())
			} else {
				_ = n.beat.DoMulti(ctx, n.beat.B().Ping().Build(), n.beat.B().Time().Build())
			}
			cancel()
			done <- i
		}
	}()
	for range asked {
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatalf("%d of %d questions have come back", len(done), asked)
		}
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "it is answered again", func() bool { return beat(t, n) == nil })
	if n.beat.places.kept.Load() != 0 || n.beat.places.left.Load() != 0 {
		t.Errorf("%d and %d places are still taken", n.beat.places.kept.Load(), n.beat.places.left.Load())
	}
}

// What a connection carries decides how much memory it takes.
func TestConnectionsHaveTheSizeOfTheirUse(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	l, err := DialLink(t.Context(), config(p.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	large, _, err := n.bulk.connected()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		got    *wire
		places int32
	}{
		"commands":     {n.cmd, 0},
		"heartbeat":    {n.beat, 1<<questions.ring - 2},
		"questions":    {l.wire, 1<<questions.ring - 2},
		"large values": {large, 1<<values.ring - 2},
	} {
		if got := tt.got.places.most; got != tt.places {
			t.Errorf("%s: room for %d, want %d", name, got, tt.places)
		}
	}
	if o := options(Config{}, &greeting{}, "", ""); o.RingScaleEachConn != commands.ring || o.ReadBufferEachConn != commands.read || o.WriteBufferEachConn != commands.write {
		t.Errorf("the shared connection has %d, %d, %d", o.RingScaleEachConn, o.ReadBufferEachConn, o.WriteBufferEachConn)
	}
}

// A large value costs a question more only where the last answer is old.
func TestASizeThatTheServerTakesIsNotAskedForEachTime(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	set := func(size int) {
		if _, err := n.Set(t.Context(), Pair{Key: "k", Data: make([]byte, size), TTL: time.Hour}, patience); err != nil {
			t.Fatal(err)
		}
	}
	asked := func() int {
		_, rest, _ := strings.Cut(ask(t, p, "INFO", "commandstats").(string), "cmdstat_getbit:calls=")
		calls, _ := strconv.Atoi(strings.Split(rest, ",")[0])
		return calls
	}
	tried := asked() // by the question about rights
	set(2 << 20)
	n.cmd.taken.Load().at = time.Now().Add(time.Hour) // however slow this machine is
	set(2 << 20)
	set(1<<20 + 1)
	if got := asked() - tried; got != 1 {
		t.Errorf("asked %d times, want once", got)
	}
	set(3 << 20)
	if got := asked() - tried; got != 2 {
		t.Errorf("a larger size: asked %d times in all, want 2", got)
	}
	n.cmd.taken.Load().at = time.Now().Add(-takenLife)
	set(3 << 20)
	if got := asked() - tried; got != 3 {
		t.Errorf("an old answer: asked %d times in all, want 3", got)
	}
}
