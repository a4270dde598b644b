package redistest_test

import (
	"net"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

// A test function's parameter; examples have none.
var t *testing.T

func ExampleStart() {
	redis := redistest.Start(t)
	redis.Do("SET", "greeting", "hello")
	redis.Kill() // what does the application do now?
	redis.Restart(redistest.KeepData)
	if got := redis.Do("GET", "greeting"); got != "hello" {
		t.Errorf("after a crash: %v", got)
	}
}

func ExampleStart_options() {
	redis := redistest.Start(t, redistest.WithPassword("secret"), redistest.WithTLS(), redistest.WithConfig("maxmemory 1mb"))
	config := redis.TLSConfig() // give it to the client, with redis.Addr() and the password
	_ = config
}

func ExampleStartSentinel() {
	set := redistest.StartSentinel(t)
	old := set.KillMaster() // connect to set.Addrs(), set.MasterName(), and write meanwhile
	set.WaitMaster(old.Addr(), time.Minute)
	old.Restart(redistest.Empty)
	set.WaitHealthy(time.Minute)
}

func ExampleStartCluster() {
	cluster := redistest.StartCluster(t)
	key := redistest.KeyIn(100, "cart") // a key of slot 100; connect to cluster.Addrs() and write meanwhile
	old := cluster.MasterOf(key)
	old.Kill()
	cluster.WaitMaster(redistest.Slot(key), old, time.Minute)
	old.Restart(redistest.Empty) // without its data, and still the same member: it becomes a replica
	cluster.WaitHealthy(time.Minute)
}

func ExampleCluster_Reshard() {
	cluster := redistest.StartCluster(t)
	from, to := cluster.Masters()[0], cluster.Masters()[1]
	slots := redistest.SlotRange{First: 0, Last: 99}
	cluster.ReshardUntil(redistest.Half, from, to, slots) // stops with half of slot 99's keys moved
	// does the application still find every key?
	cluster.Reshard(from, to, slots) // goes on to the end
}

func ExampleNewProxy() {
	redis := redistest.Start(t)
	network := redistest.NewProxy(t, redis.Addr())
	conn, err := net.Dial("tcp", network.Addr())
	if err != nil {
		t.Fatal(err)
	}
	network.Blackhole(true)
	// conn hears nothing any more
	network.Heal()
	_ = conn
}
