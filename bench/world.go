package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/redisproc"
)

const (
	class     = "bench"
	beside    = "other" // what the peers' keys begin with where they write
	valueSize = 1024
	ttl       = time.Hour // of every entry everywhere: nothing ends within a run
)

// world is what all subjects work on: one Redis and the same keys, in the same
// order, with the same value.
type world struct {
	redis *redisproc.Process
	set   *redisproc.Set     // nil until sentinelSet
	ring  *redisproc.Cluster // nil until cluster
	keys  []string           // as evercache and the caches in memory are asked for them
	full  []string           // the same keys as they are in Redis
	// peers are the keys that others than evercache write. What is written under
	// its own prefix is announced to evercache, which would work on it while a
	// peer is measured.
	peers []string
	order []uint32
	value []byte
}

func newWorld(ctx context.Context, keys int) (*world, error) {
	w := newKeys(keys)
	var err error
	if w.redis, err = redisproc.Start(ctx, redisproc.Options{}); err != nil {
		return nil, err
	}
	if err := w.seed(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// newKeys is a world without a Redis.
func newKeys(keys int) *world {
	w := &world{keys: make([]string, keys), full: make([]string, keys), peers: make([]string, keys), order: make([]uint32, keys), value: make([]byte, valueSize)}
	r := rand.New(rand.NewPCG(1, 2)) // every run has the same order
	for i, at := range r.Perm(keys) {
		w.keys[i] = fmt.Sprintf("key-%017d", i)
		w.full[i] = class + ":" + w.keys[i]
		w.peers[i] = beside + ":" + w.keys[i]
		w.order[i] = uint32(at)
	}
	for i := range w.value {
		w.value[i] = 'a' + byte(r.IntN(26))
	}
	return w
}

// seed puts every key into Redis.
func (w *world) seed(ctx context.Context) error { return w.fill(ctx, w.redis.Addr(), w.full, w.peers) }

const seedBatch = 500

func (w *world) fill(ctx context.Context, addr string, keys ...[]string) error {
	return w.fillBy(ctx, rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true}, keys...)
}

func (w *world) fillBy(ctx context.Context, o rueidis.ClientOption, keys ...[]string) error {
	client, err := rueidis.NewClient(o)
	if err != nil {
		return err
	}
	defer client.Close()
	for batch := range slices.Chunk(slices.Concat(keys...), seedBatch) {
		var sets rueidis.Commands
		for _, k := range batch {
			sets = append(sets, setCommand(client, w, k))
		}
		for _, reply := range client.DoMulti(ctx, sets...) {
			if err := reply.Error(); err != nil {
				return fmt.Errorf("fill Redis: %w", err)
			}
		}
	}
	return nil
}

// sentinelSet is a master, two replicas and three sentinels, started when first
// asked for.
func (w *world) sentinelSet(ctx context.Context) (*redisproc.Set, error) {
	if w.set == nil {
		set, err := redisproc.StartSet(ctx, redisproc.SetOptions{DownAfter: setDownAfter, Config: []string{"repl-diskless-sync-delay 0"}})
		if err != nil {
			return nil, err
		}
		w.set = set
	}
	return w.set, nil
}

// setDownAfter is long: a machine that is busy with the measurement must not
// look like a dead master.
const setDownAfter = 10 * time.Second

// cluster is three masters with a replica each, started and filled when first asked
// for.
func (w *world) cluster(ctx context.Context) (*redisproc.Cluster, error) {
	if w.ring == nil {
		c, err := redisproc.StartCluster(ctx, redisproc.ClusterOptions{Masters: clusterMasters, Replicas: 1, NodeTimeout: setDownAfter, Config: []string{"repl-diskless-sync-delay 0"}})
		if err != nil {
			return nil, err
		}
		w.ring = c
		if err := w.fillBy(ctx, rueidis.ClientOption{InitAddress: addrs(c.Nodes())}, w.full, w.peers); err != nil {
			return nil, err
		}
	}
	return w.ring, nil
}

func (w *world) close() {
	_ = w.redis.Close()
	if w.ring != nil {
		_ = w.ring.Close()
	}
	if w.set != nil {
		_ = w.set.Close()
	}
}

// clusterMasters is how many masters the Cluster has.
const clusterMasters = 3
