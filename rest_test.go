package evercache

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/redistest"
)

// waitRest waits until nobody has used the client for so long that it rests and the
// lease of its memory has ended.
func waitRest(t *testing.T, c *Client) {
	t.Helper()
	waitUntil(t, 40*time.Second, func() bool { f := c.Health().Feed; return f.Idle && f.Lease > time.Duration(shard.LeaseTerm) },
		func() string { return fmt.Sprintf("it does not rest: %+v", c.Health()) })
}

// calls are what a server has executed of each command.
func calls(info string) map[string]int {
	n := map[string]int{}
	for line := range strings.Lines(info) {
		name, rest, _ := strings.Cut(line, ":calls=")
		if command, ok := strings.CutPrefix(name, "cmdstat_"); ok {
			digits, _, _ := strings.Cut(rest, ",")
			n[command], _ = strconv.Atoi(digits)
		}
	}
	return n
}

func TestAClientThatNobodyUsesAsksItsMasterSeldom(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour})
	waitRest(t, c.client)
	count := func() (n int) {
		for _, calls := range calls(redisDo(t, p, "INFO", "commandstats").(string)) {
			n += calls
		}
		return n
	}
	const seconds = 12
	before := count()
	time.Sleep(seconds * time.Second) // what does not come cannot be waited for
	if n := count() - before - 1; n > 3*seconds {
		t.Errorf("%d commands in %d s, want at most %d", n, seconds, 3*seconds)
	}
	if h := c.client.Health(); !h.Feed.Idle || !h.Feed.Coherent || h.State != health.Connected || len(h.Findings) > 0 {
		t.Errorf("a client at rest looks broken: %+v", h)
	}
}

func TestSentinelAClientThatNobodyUsesAsksItsMasterSeldom(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithDownAfter(20*time.Second))
	client := open(t, Options{Sentinels: set.Addrs(), MasterName: set.MasterName()})
	cacheOf[string](t, client, "c", Policy{})
	connect(t, client, 30*time.Second)
	waitRest(t, client)
	// The set itself asks as well, so these are what only the client asks.
	count := func() (n int) {
		all := calls(set.Master().Do("INFO", "commandstats").(string))
		return all["time"] + all["wait"] + all["getrange"] + all["set"] + all["role"]
	}
	const seconds = 12
	before := count()
	time.Sleep(seconds * time.Second)
	if n, most := count()-before, 6*(seconds/5+1); n > most {
		t.Errorf("%d commands in %d s, want at most %d", n, seconds, most)
	}
}

// What others wrote meanwhile has been announced, and what they did not is asked for
// until the feed is proved again.
func TestAHitAfterARestIsAskedForOnce(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour})
	for _, key := range []string{"a", "b"} {
		_, err := c.Set(t.Context(), key, "old")
		wantErr(t, err, nil)
		waitCovers(t, c, key, "old")
	}
	waitRest(t, c.client)
	redisDo(t, p, "SET", c.full("b"), "new", "KEEPTTL")
	late := lateness(t)
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "old")
	if e.Source != SourceRedis {
		t.Errorf("the first hit came from %v: nothing covered it", e.Source)
	}
	began := time.Now()
	for e.Source != SourceMemory || !e.Coherent {
		e, err = c.Lookup(t.Context(), "a")
		wantValue(t, e.Value, err, "old")
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("memory is not coherent %v after a rest: %+v", took, c.client.Health().Feed)
		}
	}
	if took := time.Since(began); took > shard.HearEach/2+late() {
		t.Errorf("memory was coherent %v after the first hit", took)
	}
	e, err = c.Lookup(t.Context(), "b")
	wantValue(t, e.Value, err, "new")
}

// The first call that meets a master which has died in the rest is answered from
// memory, within the time that Redis is given.
func TestTheFirstCallAfterARestMeetsADeadMaster(t *testing.T) {
	for _, fault := range []string{"killed", "stopped", "cut off in silence"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			proxy := startProxy(t, p.Addr())
			client := open(t, Options{Addr: proxy.Addr()})
			c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
			connect(t, client, 20*time.Second)
			_, err := c.Set(t.Context(), "a", "value")
			wantErr(t, err, nil)
			waitRest(t, client)
			late := lateness(t)
			switch fault {
			case "killed":
				kill(t, p)
			case "stopped":
				wantErr(t, p.Pause(), nil)
				t.Cleanup(func() { resume(t, p) })
			default:
				proxy.Blackhole(true)
			}
			for call := range 5 {
				began := time.Now()
				v, err := c.Get(t.Context(), "a", failing)
				took := time.Since(began)
				wantValue(t, v, err, "value")
				if most := client.opts.ReadTimeout + 50*time.Millisecond + late(); took > most {
					t.Errorf("call %d took %v, want at most %v", call, took, most)
				}
			}
			waitUntil(t, 20*time.Second, func() bool { return client.State() != health.Connected }, func() string { return "it does not notice" })
		})
	}
}

// A master that dies while nobody calls is noticed all the same.
func TestADeadMasterIsNoticedInARest(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	proxy := startProxy(t, p.Addr())
	client := open(t, Options{Addr: proxy.Addr()})
	cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	connect(t, client, 20*time.Second)
	waitRest(t, client)
	late, began := lateness(t), time.Now()
	proxy.Blackhole(true)
	waitUntil(t, 30*time.Second, func() bool { return client.State() != health.Connected }, func() string { return "it does not notice" })
	if took := time.Since(began); took > shard.RestEach+2*time.Second+late() {
		t.Errorf("noticed after %v", took)
	}
}

// A server that dies closes its connections. That is noticed at once, not with the next
// question of a rest.
func TestAMasterThatHangsUpIsNoticedAtOnceInARest(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: p.Addr()})
	cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	connect(t, client, 20*time.Second)
	waitRest(t, client)
	late := lateness(t)
	kill(t, p)
	began := time.Now()
	waitUntil(t, 30*time.Second, func() bool { return client.State() != health.Connected }, func() string { return "it does not notice" })
	if took := time.Since(began); took > 500*time.Millisecond+late() {
		t.Errorf("noticed after %v", took)
	}
}

// A server that closes what is idle for less than a rest is lost in two rests, and not in each.
func TestAServerThatClosesIdleConnectionsIsNotLostAgainAndAgain(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{"timeout 2"}})
	client := open(t, Options{Addr: p.Addr(), ReadTimeout: 500 * time.Millisecond})
	cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	connect(t, client, 20*time.Second)
	n := times(client)
	waitUntil(t, 60*time.Second, func() bool { return times(client) > n+1 && client.State() == health.Connected }, func() string { return "it is not lost in its rests" })
	n = times(client)
	for ends := time.Now().Add(12 * time.Second); time.Now().Before(ends); time.Sleep(10 * time.Millisecond) {
		if client.Health().Feed.Idle || times(client) != n {
			t.Fatalf("it rests again: %+v", client.Health())
		}
	}
}

func TestSentinelAFailoverIsFollowedInARest(t *testing.T) {
	for _, planned := range []bool{true, false} {
		t.Run(fmt.Sprint("planned ", planned), func(t *testing.T) {
			t.Parallel()
			set := redistest.StartSentinel(t)
			client := open(t, Options{Sentinels: set.Addrs(), MasterName: set.MasterName()})
			cacheOf[string](t, client, "c", Policy{})
			connect(t, client, 30*time.Second)
			waitRest(t, client)
			old := set.Master().Addr()
			late := lateness(t)
			if planned {
				set.Failover()
			} else {
				set.KillMaster()
			}
			first := set.WaitMaster(old, 60*time.Second).Addr()
			began, next := time.Now(), first
			waitUntil(t, 60*time.Second, func() bool {
				h := client.Health()
				if h.Connected && h.Master == next {
					return true
				}
				next = set.WaitMaster(old, 60*time.Second).Addr() // on a busy machine they fail over once more
				return false
			}, func() string { return fmt.Sprintf("it is not followed to %s: %+v", next, client.Health()) })
			if took := time.Since(began); next == first && took > time.Second+late() {
				t.Errorf("followed %v after the sentinels", took)
			}
			waitRest(t, client)
		})
	}
}

// A master of a Cluster dies while nobody uses the client. The first calls meet that: they
// are answered in time, and what is written reaches the next master.
func TestClusterTheFirstCallsAfterARestMeetADeadMaster(t *testing.T) {
	t.Parallel()
	ring := redistest.StartCluster(t, redistest.WithReplicas(1), redistest.WithNodeTimeout(2*time.Second))
	client := open(t, Options{ClusterNodes: ring.Addrs()[:2]})
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	connect(t, client, 30*time.Second)
	for _, key := range []string{"read", "write"} {
		_, err := c.Set(t.Context(), key, "old")
		wantErr(t, err, nil)
	}
	waitRest(t, client)
	slot := int(slot.Of(c.full("write")))
	old := ring.MasterOfSlot(slot)
	late := lateness(t)
	old.Kill()
	began := time.Now()
	r, err := c.Set(t.Context(), "write", "new")
	wantErr(t, err, nil)
	if took := time.Since(began); took > time.Second+late() {
		t.Errorf("the first write took %v, acknowledged as %v", took, r.Durability)
	}
	for key, want := range map[string]string{"read": "old", "write": "new"} {
		began = time.Now()
		e, err := c.Lookup(t.Context(), key)
		wantValue(t, e.Value, err, want)
		if took := time.Since(began); took > 500*time.Millisecond+late() {
			t.Errorf("the first read of %s took %v", key, took)
		}
	}
	next := ring.WaitMaster(slot, old, 60*time.Second)
	waitUntil(t, 60*time.Second, func() bool { return next.Do("GET", c.full("write")) == "new" },
		func() string { return fmt.Sprintf("the write does not reach %s: %+v", next.Addr(), client.Health()) })
}

// The barrier that a caller waits for is sent at once, and a replica answers as soon as it
// has it. One that can never be answered by so many does not become a storm.
func TestSentinelReplicatedWritesOneAfterTheOtherAreQuick(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithDownAfter(20*time.Second))
	client := open(t, Options{Sentinels: set.Addrs(), MasterName: set.MasterName(), WriteTimeout: time.Second})
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	connect(t, client, 30*time.Second)
	waitUntil(t, 30*time.Second, func() bool { _, err := c.Set(t.Context(), "k", "v", MinReplicas(1)); return err == nil },
		func() string { return fmt.Sprintf("no replica takes a write: %+v", client.Health()) })
	took := make([]time.Duration, 51)
	for i := range took {
		began := time.Now()
		_, err := c.Set(t.Context(), "k", "v", MinReplicas(1))
		wantErr(t, err, nil)
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > 10*time.Millisecond {
		t.Errorf("half of the writes took more than %v; a barrier in each 20 ms takes that", median)
	}
	waits := func() int { return calls(set.Master().Do("INFO", "commandstats").(string))["wait"] }
	before, began := waits(), time.Now()
	_, err := c.Set(t.Context(), "k", "v", MinReplicas(3))
	if err == nil {
		t.Error("three replicas have it where there are two")
	}
	if n, most := waits()-before, int(time.Since(began)/shard.HearEach)*20; n > most {
		t.Errorf("%d barriers while a write waited for a third replica, want at most %d", n, most)
	}
}
