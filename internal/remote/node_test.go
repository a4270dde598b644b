package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/breaker"
	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/redisproc"
)

// settle makes enough calls for a node to be off probation.
func settle(t *testing.T, n *Node) {
	t.Helper()
	for range breaker.Default.Probation {
		if _, err := n.Get(t.Context(), "none", long); !IsNil(err) {
			t.Fatal(err)
		}
	}
}

func TestACallersOwnShortDeadlineSaysNothingAboutTheNode(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	obs := &seen{}
	n := dial(t, proxy.Addr(), obs)
	proxy.Blackhole(true)
	calls := map[string]func(context.Context) error{
		"get":  func(ctx context.Context) error { _, err := n.Get(ctx, "k", time.Hour); return err },
		"mget": func(ctx context.Context) error { _, err := n.GetMany(ctx, []string{"k"}, time.Hour); return err },
		"set":  func(ctx context.Context) error { return second(n.Set(ctx, Pair{Key: "k", TTL: time.Hour}, time.Hour)) },
		"set_nx": func(ctx context.Context) error {
			_, _, err := n.SetAbsent(ctx, Pair{Key: "k", TTL: time.Hour}, time.Hour)
			return err
		},
		"pexpire": func(ctx context.Context) error {
			_, _, err := n.Expire(ctx, Pair{Key: "k", TTL: time.Hour}, time.Hour)
			return err
		},
		"batch": func(ctx context.Context) error {
			_, err := n.WriteMany(ctx, []Write{{Kind: WriteDelete}}, time.Hour)
			return err
		},
		"scan": func(ctx context.Context) error { _, err := n.DeletePrefix(ctx, "k", time.Hour); return err },
	}
	for name, call := range calls {
		for range 5 {
			within(t, 2*time.Second, name, func() {
				wantKind(t, call(short(t, 2*time.Millisecond)), Canceled)
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Millisecond, cancel)
		wantKind(t, call(ctx), Canceled)
		if got := obs.count(name, Canceled); got != 6 {
			t.Errorf("%s: %d calls are counted as given up by their caller, want 6", name, got)
		}
	}
	wantClosed(t, n)
	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Get(t.Context(), "another", long); !IsNil(err) { // of k's writes some may land now
		t.Errorf("afterwards: %v", err)
	}
}

func TestATimeoutOnProbationIsEnough(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	n := dial(t, proxy.Addr(), nil)
	proxy.Blackhole(true)
	_, err := n.Get(t.Context(), "k", 20*time.Millisecond)
	wantKind(t, err, Timeout)
	wantOpen(t, n, breaker.Errors, Timeout)
}

func TestTimeoutsInARowOpenTheBreaker(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	n := dial(t, proxy.Addr(), nil)
	settle(t, n)
	proxy.Blackhole(true)
	for i := range breaker.Default.Failures {
		if isOpen(n) {
			t.Errorf("open after %d timeouts", i)
		}
		within(t, 2*time.Second, "a call with a limit of 20 ms", func() {
			_, err := n.Get(t.Context(), "k", 20*time.Millisecond)
			wantKind(t, err, Timeout)
		})
	}
	wantOpen(t, n, breaker.Errors, Timeout)
}

// Nor is it an answer: a dead node must not stay in use because some of its
// callers are impatient.
func TestACallThatItsCallerGaveUpDoesNotInterruptTimeoutsInARow(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	n := dial(t, proxy.Addr(), nil)
	settle(t, n)
	proxy.Blackhole(true)
	for range breaker.Default.Failures {
		_, err := n.Get(short(t, time.Millisecond), "k", time.Hour)
		wantKind(t, err, Canceled)
		_, err = n.Get(t.Context(), "k", 20*time.Millisecond)
		wantKind(t, err, Timeout)
	}
	wantOpen(t, n, breaker.Errors, Timeout)
}

// A deadline of the caller that is hardly shorter than ours is a timeout like
// any other, or a caller could keep a dead node in use.
func TestACallersDeadlineNearOursCounts(t *testing.T) {
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	n := dial(t, proxy.Addr(), nil)
	proxy.Blackhole(true)
	_, err := n.Get(short(t, 30*time.Millisecond), "k", 40*time.Millisecond)
	wantKind(t, err, Timeout)
	wantOpen(t, n, breaker.Errors, Timeout)
}

// slowly makes a window of calls at once that each answer in time, but take more
// than half of it.
func slowly(t *testing.T, call func(*Node, time.Duration) error) *Node {
	t.Helper()
	proxy := startProxy(t, startRedis(t, redisproc.Options{}).Addr())
	n := dial(t, proxy.Addr(), nil)
	proxy.SetLatency(faultnet.ToClient, 600*time.Millisecond)
	var wg sync.WaitGroup
	for range breaker.Default.Window {
		wg.Go(func() {
			if err := call(n, 1100*time.Millisecond); err != nil && !IsNil(err) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return n
}

func TestSlownessOpensTheBreaker(t *testing.T) {
	n := slowly(t, func(n *Node, limit time.Duration) error { _, err := n.Get(t.Context(), "k", limit); return err })
	wantOpen(t, n, breaker.Slow, OK)
}

// A large batch takes long on a healthy node.
func TestBatchesAreNotJudgedBySpeed(t *testing.T) {
	wantClosed(t, slowly(t, func(n *Node, limit time.Duration) error {
		_, err := n.GetMany(t.Context(), []string{"k"}, limit)
		return err
	}))
	wantClosed(t, slowly(t, func(n *Node, limit time.Duration) error {
		_, err := n.WriteMany(t.Context(), []Write{{Kind: WriteDelete}}, limit)
		return err
	}))
}

func wantOpen(t *testing.T, n *Node, cause breaker.Cause, last Kind) {
	t.Helper()
	if !isOpen(n) {
		t.Error("the node is still in use")
		return
	}
	e, ok := errors.AsType[*OpenError](n.OpenErr())
	if !ok || e.Cause != cause || KindOf(e.Last) != last {
		t.Errorf("given up for %v, want %s, %s", n.OpenErr(), cause, last)
	}
}

// A node that refuses writes of a kind is well: reads go on.
func TestARefusalOfWritesIsNotedAndTheNodeStays(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"maxmemory-policy noeviction"}})
	n := dial(t, p.Addr(), nil)
	ask(t, p, "SET", "k", "v")
	ask(t, p, "CONFIG", "SET", "maxmemory", "1")
	for range 10 {
		wantKind(t, second(n.Set(t.Context(), Pair{Key: "k", Data: []byte("v2"), TTL: time.Hour}, long)), OOM)
	}
	if n.Refused() != OOM {
		t.Errorf("Refused = %q", n.Refused())
	}
	wantValue(t, n, "k", "v", -1)
	wantKind(t, beat(t, n), OOM) // the heartbeat writes, so it finds out too
	wantClosed(t, n)

	other, err := Dial(t.Context(), config(p.Addr()), heartbeat, &seen{})
	if err != nil {
		t.Fatalf("a master that only reads is refused: %v", err)
	}
	defer other.Abandon()
	if other.Refused() != OOM {
		t.Errorf("after Dial: Refused = %q", other.Refused())
	}

	ask(t, p, "CONFIG", "SET", "maxmemory", "0")
	if err := beat(t, n); err != nil || n.Refused() != OK {
		t.Errorf("with memory again: %v, Refused = %q", err, n.Refused())
	}
}

func TestAnOutageReplyGivesTheNodeUp(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	ask(t, p, "REPLICAOF", "127.0.0.1", "1")
	wantKind(t, second(n.Set(t.Context(), Pair{Key: "k", TTL: time.Hour}, long)), ReadOnly)
	wantOpen(t, n, breaker.Errors, ReadOnly)
}

func TestAWrongCommandIsTheCallersFault(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	ask(t, p, "RPUSH", "list", "x")
	for range 10 {
		_, err := n.Get(t.Context(), "list", long)
		wantKind(t, err, Logical)
	}
	wantClosed(t, n)
}

func TestTheHeartbeatPingsWhereItMayNotWrite(t *testing.T) {
	p := startRedis(t, redisproc.Options{Users: []redisproc.User{
		{Name: "app", Password: "x", Rules: []string{"~app:*", "+@all"}},
		{Name: "blind", Password: "x", Rules: []string{"~app:*", "+@all", "-role"}},
	}})
	for _, user := range []string{"app", "blind"} {
		c := config(p.Addr())
		c.Username, c.Password = user, "x"
		n := dialWith(t, c, nil)
		if err := beat(t, n); err != nil || !n.HeartbeatForbidden() || n.Refused() != OK {
			t.Errorf("%s: Beat = %v, forbidden %v, refused %q", user, err, n.HeartbeatForbidden(), n.Refused())
		}
		wantClosed(t, n)
	}
	n := dial(t, p.Addr(), nil)
	if n.HeartbeatForbidden() {
		t.Error("an allowed heartbeat is taken for a forbidden one")
	}
	if ask(t, p, "EXISTS", heartbeat.Key) != int64(1) {
		t.Error("the heartbeat did not write its key")
	}
	if ms := ask(t, p, "PTTL", heartbeat.Key).(int64); ms <= 0 || ms > heartbeat.TTL.Milliseconds() {
		t.Errorf("its key lives for %d ms", ms)
	}
}

// TestANodeThatWasDialledByNameIsKnownByItsAddressToo: a redirection may name either.
func TestANodeThatWasDialledByNameIsKnownByItsAddressToo(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	c := config(fmt.Sprintf("localhost:%d", p.Port()))
	c.At = p.Addr()
	n := dialWith(t, c, nil)
	if !n.Is(c.Addr) || !n.Is(p.Addr()) || n.Is("127.0.0.2:1") {
		t.Errorf("the node at %q, dialled at %q, does not know itself", n.Addr, n.at)
	}
}

func TestEveryCommandIsCountedUnderAKnownName(t *testing.T) {
	known := map[string]bool{}
	for _, name := range CommandNames {
		known[name] = true
	}
	n := dial(t, startRedis(t, redisproc.Options{}).Addr(), observer(func(name string, took time.Duration, _ Kind) {
		if !known[name] || took < 0 {
			t.Errorf("%s took %v", name, took)
		}
	}))
	ctx, pair := t.Context(), Pair{Key: "k", Data: []byte("v"), TTL: time.Hour}
	_, _ = n.Get(ctx, "k", long)
	_, _ = n.GetMany(ctx, []string{"k"}, long)
	_, _ = n.Set(ctx, pair, long)
	_, _, _ = n.SetAbsent(ctx, pair, long)
	_, _, _ = n.Expire(ctx, Pair{Key: "k", TTL: time.Hour}, long)
	_, _ = n.WriteMany(ctx, []Write{{WriteSet, pair}}, long)
	_, _ = n.DeletePrefix(ctx, "k", long)
}

// TestAMendedACLIsNoticedWithoutANewConnection: until then deletes leave no trace,
// and nothing is confirmed.
func TestAMendedACLIsNoticedWithoutANewConnection(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	remove := func() {
		if _, _, err := n.Delete(t.Context(), Del{Key: "k", Tomb: "~d:k", Process: "me"}, long); err != nil {
			t.Error(err)
		}
	}
	ask(t, p, "ACL", "SETUSER", "default", "-set")
	remove()
	if err := beat(t, n); err != nil || !n.HeartbeatForbidden() || !n.ScriptsForbidden() {
		t.Fatalf("beat: %v; forbidden: heartbeat %v, scripts %v", err, n.HeartbeatForbidden(), n.ScriptsForbidden())
	}
	ask(t, p, "ACL", "SETUSER", "default", "+set")
	eventually(t, banAgain+10*time.Second, "the ACL is mended", func() bool {
		remove()
		return beat(t, n) == nil && !n.HeartbeatForbidden() && !n.ScriptsForbidden()
	})
	remove()
	if ask(t, p, "EXISTS", "~d:k", heartbeat.Key) != int64(2) {
		t.Error("a delete left no tombstone, or the heartbeat no key")
	}
	wantClosed(t, n)
}
