package evercache

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/redistest"
)

// startClocked starts a server whose clock can be moved.
func startClocked(t *testing.T, config ...string) (*redisproc.Process, *redistest.Clock) {
	t.Helper()
	clock := redistest.NewClock(t)
	return startRedis(t, redisproc.Options{Config: config, Env: clock.Env()}), clock
}

// heard waits until the client has heard the server's time again.
func heard(t *testing.T, c *Client) {
	t.Helper()
	from, _ := c.one().Barriers.Watch()
	waitUntil(t, 30*time.Second, func() bool { last, _ := c.one().Barriers.Watch(); return last.N > from.N+2 }, func() string { return "no barrier" })
}

// A process knows the order of its own writes, whatever the server's clock says.
func TestAClockThatIsSetBackBetweenTwoWritesLeavesTheLater(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{-300 * time.Second, -3 * time.Second, 300 * time.Second} {
		t.Run(by.String(), func(t *testing.T) {
			p, clock := startClocked(t)
			client := openAt(t, p.Addr())
			connect(t, client, 20*time.Second)
			c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour, L1TTL: Never})
			const keys = 20
			for i := range keys {
				_, err := c.Set(t.Context(), fmt.Sprint(i), "earlier")
				wantErr(t, err, nil)
			}
			heard(t, client)
			redisDo(t, p, "SAVE")
			clock.Set(by)
			heard(t, client)
			for i := range keys {
				_, err := c.Set(t.Context(), fmt.Sprint(i), "later")
				wantErr(t, err, nil)
			}
			n := times(client)
			kill(t, p)
			restart(t, p, redisproc.KeepData)
			returned(t, client, n)
			for i := range keys {
				wantStored(t, p, fmt.Sprint("c:", i), "later")
			}
		})
	}
}

// The next master's clock is behind: what another process wrote there is later than
// what this one has kept, and looks earlier.
func TestAnotherClockBringsNoOlderWriteBack(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{-30 * time.Second, 30 * time.Second} {
		t.Run(by.String(), func(t *testing.T) {
			p, clock := startClocked(t)
			link := startProxy(t, p.Addr())
			a, b := openAt(t, link.Addr()), openAt(t, p.Addr())
			connect(t, a, 20*time.Second)
			connect(t, b, 20*time.Second)
			ours, theirs := cacheOf[string](t, a, "c", Policy{TTL: time.Hour}), cacheOf[string](t, b, "c", Policy{TTL: time.Hour})
			at := pair{p, link, ours, theirs}
			at.cut(t)
			_, err := ours.Set(t.Context(), "a", "kept")
			wantErr(t, err, nil)
			clock.Set(by)
			heard(t, b)
			wantMaster(t, func() (Receipt, error) { return theirs.Set(t.Context(), "a", "later") })
			at.heal(t)
			if got := redisDo(t, p, "GET", "c:a"); got != "later" && got != nil {
				t.Errorf("%v is there", got)
			}
		})
	}
}

// The load began before the delete; the master that is filled has a clock that says
// otherwise.
func TestALoadIsNotStoredAfterADeleteByAnotherClock(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{5 * time.Second, -5 * time.Second} {
		t.Run(by.String(), func(t *testing.T) {
			p, clock := startClocked(t, "appendonly yes", "appendfsync always")
			link := startProxy(t, p.Addr())
			a, b := openAt(t, link.Addr()), openAt(t, p.Addr())
			connect(t, a, 20*time.Second)
			connect(t, b, 20*time.Second)
			reader, deleter := cacheOf[string](t, a, "c", Policy{LoadTimeout: time.Minute}), cacheOf[string](t, b, "c", Policy{})
			begun, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
			go func() {
				_, err := reader.Get(t.Context(), "a", func(context.Context, string) (string, error) {
					close(begun)
					<-goOn
					return "of before", nil
				})
				done <- err
			}()
			<-begun
			at := pair{p, link, reader, deleter}
			at.cut(t) // it does not hear of the delete
			remove := func() {
				wantMaster(t, func() (Receipt, error) { return deleter.Delete(t.Context(), "a") })
			}
			if by > 0 {
				remove()
			}
			n := times(b)
			kill(t, p)
			clock.Set(by)
			restart(t, p, redisproc.KeepData)
			returned(t, b, n)
			if by < 0 {
				remove()
			}
			at.heal(t)
			close(goOn)
			wantErr(t, <-done, nil)
			fills := a.one().Redis.Requests["fill"]
			waitUntil(t, 30*time.Second, func() bool { return fills[0].Load()+fills[1].Load() > 0 }, func() string { return "nothing is stored" })
			e, err := deleter.Lookup(t.Context(), "a")
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("read %+v, %v", e, err)
			}
			if got := redisDo(t, p, "EXISTS", "c:a"); got != int64(0) {
				t.Error("what was loaded before the delete is stored")
			}
		})
	}
}
