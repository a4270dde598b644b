package replicas_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

func clusterOptions(c *redistest.Cluster) evercache.Options {
	return evercache.Options{ClusterNodes: c.Addrs(), ReadTimeout: 8 * time.Second}
}

// inShardOf are keys of the class in a slot of a master.
func inShardOf(c *redistest.Cluster, master *redistest.Server, prefix string, n int) (keys []string) {
	slot := 0
	for c.MasterOfSlot(slot) != master {
		slot += 1000
	}
	for i := range n {
		keys = append(keys, redistest.KeyIn(slot, fmt.Sprint(prefix, i)))
	}
	return keys
}

// untilShardAsked is untilAsked for the replicas of one shard.
func untilShardAsked(t *testing.T, c *redistest.Cluster, client *evercache.Client, cache *evercache.Cache[string], master *redistest.Server) {
	t.Helper()
	keys := inShardOf(c, master, fmt.Sprint("warm", answered(client), "-"), 400)
	n := 0
	untilServed(t, client, func() {
		key := keys[n%len(keys)]
		n++
		master.Do("SET", class+":"+key, "up")
		time.Sleep(20 * time.Millisecond)
		if _, err := cache.Lookup(t.Context(), key); err != nil && !errors.Is(err, evercache.ErrUnavailable) {
			t.Fatal(err)
		}
	})
}

func TestAReplicaOfAShardThatStalledIsNotBehind(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.WithNodeTimeout(15*time.Second))
	p := evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never, MaxStaleness: 30 * time.Second}
	reader, cache := open(t, clusterOptions(c), p)
	_, writer := open(t, clusterOptions(c), p)
	master := c.Masters()[0]
	untilShardAsked(t, c, reader, cache, master)
	s := &stalls{
		T: t, oracle: newOracle(), reader: reader, cache: cache, writer: writer, master: master, replica: c.ReplicasOf(master)[0],
		bound: 30 * time.Second, heard: true, stop: 20 * time.Millisecond,
		keys: func(n int) []string { return inShardOf(c, master, fmt.Sprintf("k%d-", n), keysOfARound) },
	}
	s.run(rounds()/3, "announced")
	// Between the fault and the verdict of the other masters a replica answers.
	keys := inShardOf(c, master, "last-", 5)
	for _, key := range keys {
		master.Do("SET", class+":"+key, key)
	}
	time.Sleep(700 * time.Millisecond)
	master.Kill()
	testkit.Until(t, "the shard has no master", func() bool { return reader.Health().State != health.Connected })
	e, err := cache.Lookup(t.Context(), keys[0])
	if err != nil || e.Source != evercache.SourceReplica || e.Cause == nil || e.Behind <= 0 {
		t.Errorf("without its master: %+v, %v", e, err)
	}
}

// TestReadsOfSlotsThatMove: what a replica holds of them is behind no barrier that counts.
func TestReadsOfSlotsThatMove(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	p := evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never}
	one, cache := open(t, clusterOptions(c), p)
	_, other := open(t, clusterOptions(c), p)
	oracle, quit, done := newOracle(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		oracle.keepWriting(t, other, "{r:a}w", quit)
	}()
	read := make(chan struct{})
	go func() {
		defer close(read)
		oracle.keepReading(t, cache, quit)
	}()
	testkit.Until(t, "replicas answer", func() bool { return answered(one) > 50 })
	slot := redistest.Slot(class + ":{r:a}w0")
	for range 3 {
		from := c.MasterOfSlot(slot)
		to := c.Masters()[0]
		if to == from {
			to = c.Masters()[1]
		}
		c.Reshard(from, to, redistest.OneSlot(slot))
		had := answered(one)
		testkit.Until(t, "replicas of the next owner answer", func() bool { return answered(one) > had+50 })
	}
	close(quit)
	<-done
	<-read
	t.Log(reasons(one.Stats().Replicas))
}

func TestAClusterWhoseACLForbidsReadonlyIsReadFromItsMasters(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.WithUser("app", "secret", "~*", "&*", "+@all", "-readonly"))
	o := clusterOptions(c)
	o.Username, o.Password = "app", "secret"
	client, cache := open(t, o, evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never})
	set(t, cache, "k", "v")
	testkit.Until(t, "there is a finding", func() bool {
		for _, f := range client.Health().Findings {
			if f.Code == health.CodeRedisReplicaReads {
				t.Log(f)
				return true
			}
		}
		return false
	})
	if e, err := cache.Lookup(t.Context(), "k"); err != nil || e.Value != "v" || e.Source != evercache.SourceRedis {
		t.Errorf("%+v, %v", e, err)
	}
	if answered(client) != 0 || refused(client, "none") == 0 {
		t.Errorf("%v", reasons(client.Stats().Replicas))
	}
}
