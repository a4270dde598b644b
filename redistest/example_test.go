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
