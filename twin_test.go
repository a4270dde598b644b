package evercache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/kit"
	"github.com/evercache/evercache/internal/redisproc"
)

// inTurn sends connections to servers in turn.
func inTurn(ps ...*redisproc.Process) func(int) string {
	return func(n int) string { return ps[(n-1)%len(ps)].Addr() }
}

// wantTwoServers waits for the finding, and for nothing to be used.
func wantTwoServers(t *testing.T, c *Client) {
	t.Helper()
	waitUntil(t, 20*time.Second, func() bool { return hasFinding(c.Health(), "redis-two-servers") && c.State() == health.Degraded },
		func() string { return fmt.Sprintf("%+v", c.Health()) })
}

func TestAnAddressThatReachesTwoMastersIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]redisproc.Options{
		"as usual":      {},
		"without INFO":  {Config: []string{`rename-command INFO ""`}},
		"out of memory": {Config: []string{"maxmemory 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := startRedis(t, config), startRedis(t, config)
			tr := startTranslator(t, nil, inTurn(a, b))
			client := open(t, Options{Addr: tr.addr()})
			c := cacheOf[string](t, client, "c", Policy{})
			wantTwoServers(t, client)
			for i := range 20 {
				r, err := c.Set(t.Context(), fmt.Sprint(i), "v")
				wantValue(t, r.Durability, err, Memory)
			}
			redisDo(t, a, "CONFIG", "SET", "maxmemory", "0")
			tr.reroute(func(int) string { return a.Addr() })
			connect(t, client, 20*time.Second)
			for i := range 20 {
				waitInRedis(t, a, fmt.Sprint("c:", i), "v")
			}
		})
	}
}

func TestAnAddressThatReachesAMasterAndItsReplicaIsNotUsed(t *testing.T) {
	t.Parallel()
	master := startRedis(t, redisproc.Options{})
	replica := startRedis(t, redisproc.Options{ReplicaOf: master.Addr()})
	for name, order := range map[string][]*redisproc.Process{"master first": {master, replica}, "replica first": {replica, master}} {
		t.Run(name, func(t *testing.T) {
			client := open(t, Options{Addr: startTranslator(t, nil, inTurn(order...)).addr()})
			wantTwoServers(t, client)
		})
	}
}

func TestAConnectionThatIsMovedToAnotherMasterIsNoticed(t *testing.T) {
	t.Parallel()
	o := redisproc.Options{Config: []string{`rename-command HELLO ""`}} // RESP2: there is nothing to repeat for the other server
	for name, connection := range map[string]int{"of the writes": 1, "of the heartbeat": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := startRedis(t, o), startRedis(t, o)
			tr := startTranslator(t, nil, inTurn(a))
			client := open(t, Options{Addr: tr.addr()})
			connect(t, client, 30*time.Second)
			c := cacheOf[string](t, client, "c", Policy{})
			tr.reroute(inTurn(b, a))
			tr.move(t, connection, b.Addr())
			_, err := c.Set(t.Context(), "k", "v")
			wantErr(t, err, nil)
			wantTwoServers(t, client)
			tr.reroute(inTurn(a))
			connect(t, client, 20*time.Second)
			waitInRedis(t, a, "c:k", "v")
		})
	}
}

func TestAnotherConnectionOfThisProcessDoesNotReachAnotherServerUnnoticed(t *testing.T) {
	t.Parallel()
	a, b := startRedis(t, redisproc.Options{}), startRedis(t, redisproc.Options{})
	tr := startTranslator(t, nil, inTurn(a))
	client := open(t, Options{Addr: tr.addr()})
	connect(t, client, 30*time.Second)
	m, _ := kit.Of(client).Master()
	link, err := m.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	link.Close()
	tr.reroute(inTurn(b))
	if link, err = m.Dial(t.Context()); err == nil {
		link.Close()
		t.Error("a link to another server is handed out")
	}
	waitFinding(t, client, "redis-two-servers")
}

// An emptied server has no barrier for a moment.
func TestAFlushIsNotTakenForAnotherServer(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 30*time.Second)
	node := client.one().Node.Load()
	for range 200 {
		redisDo(t, p, "FLUSHALL")
		time.Sleep(20 * time.Millisecond)
	}
	if client.one().Node.Load() != node || hasFinding(client.Health(), "redis-two-servers") {
		t.Errorf("it was given up: %+v", client.Health())
	}
}

func TestAnOldServerIsUsedAndToldWhatItGets(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	tr := startTranslator(t, func(words []string) []string {
		switch text := strings.ToLower(strings.Join(words[:min(2, len(words))], " ")); {
		case text == "hello" || strings.HasPrefix(text, "hello "):
			return saying("ERR unknown command 'HELLO'")
		case text == "info server":
			return []string{"EVAL", "return (string.gsub(redis.call('INFO', 'server'), 'redis_version:[^\\r\\n]*', 'redis_version:5.0.14'))", "0"}
		case words[0] == "SET" && slices.Contains(words, "PXAT"):
			return saying("ERR syntax error")
		case words[0] == "EVALSHA" && len(words) > 1:
			return saying("NOSCRIPT No matching script")
		case words[0] == "EVAL" && len(words) > 3 && strings.Contains(words[1], "PXAT"):
			return append([]string{"EVAL", strings.ReplaceAll(words[1], "'PXAT'", "'PXAX'")}, words[2:]...)
		}
		return nil
	}, inTurn(p))
	client := open(t, Options{Addr: tr.addr(), ReadTimeout: time.Second, WriteTimeout: 2 * time.Second})
	connect(t, client, 30*time.Second)
	waitFinding(t, client, "redis-old")
	c := cacheOf[string](t, client, "c", Policy{})
	r, err := c.Set(t.Context(), "online", "v")
	wantValue(t, r.Durability, err, Master)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 30*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	_, err = c.Set(t.Context(), "outage", "v")
	wantErr(t, err, nil)
	resume(t, p)
	waitInRedis(t, p, "c:outage", "v")
	if ms := redisDo(t, p, "PTTL", "c:outage").(int64); ms <= 0 {
		t.Errorf("it lives %d ms", ms)
	}
	connect(t, client, 30*time.Second)
}

func TestANodeOfAClusterIsNotUsedAndToldSo(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{"cluster-enabled yes"}})
	client := openAt(t, p.Addr())
	waitFinding(t, client, "redis-cluster-node")
	if client.State() != health.Degraded {
		t.Errorf("state %v", client.State())
	}
}
