package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/chaos"
)

// library is a client library set up in one way.
type library struct {
	name  string
	class string // its keys in Redis begin with class and a colon
	how   string // its settings, for the report
	open  func(ctx context.Context, p place, class string) (client, error)
}

// place is where a library finds the set or the Cluster, and how its keys lie there.
type place struct {
	sentinels  []string
	masterName string
	cluster    []string          // nodes of a Cluster; empty: it is a set
	layout     *layout           // nil: all keys are alike
	detours    map[string]string // what to dial instead of an announced address
	log        bool
}

// dialled is the address that is dialled for one that was announced.
func (p place) dialled(addr string) string { return cmp.Or(p.detours[addr], addr) }

// client is a library at work.
type client interface {
	chaos.Store
	// Delete removes a key.
	Delete(ctx context.Context, key string) (chaos.Ack, error)
	// settle waits until the client is past its own start.
	settle(ctx context.Context) error
	// flush waits until nothing that it acknowledged waits in the client.
	flush(ctx context.Context) error
	close()
}

// errNotThere is Get's answer where the client says that there is no such key.
var errNotThere = errors.New("the key is not there")

// callTimeout is the context of every call of every library.
const callTimeout = time.Second

// libraries, as the tables list them.
var libraries = []library{
	{"evercache", "ec", "Options and Policy at their defaults", openEvercache(0)},
	{"evercache, every read asks Redis", "ec-ask", "Policy.L1TTL Never, else defaults", openEvercache(never)},
	{"go-redis", "gr", "FailoverClient, defaults", openGoRedis(goRedisDefaults)},
	{"go-redis, tuned", "gr-tuned", "DialTimeout 500 ms, ReadTimeout and WriteTimeout 300 ms, PoolTimeout 500 ms, MaxRetries -1, ContextTimeoutEnabled", openGoRedis(goRedisTuned)},
	{"rueidis", "ru", "Sentinel client, defaults", openRueidis(rueidisDefaults)},
	{"rueidis, tuned", "ru-tuned", "Dialer and Sentinel.Dialer with Timeout and KeepAlive 500 ms, ConnWriteTimeout 1 s, TopologyRefreshInterval 1 s", openRueidis(rueidisTuned)},
}

// entrant is a library in one episode.
type entrant struct {
	library
	client  client
	traffic *traffic
}

// enter opens all libraries, writes what they will read, and waits until they
// are past their start. What was opened is returned also with an error.
func enter(ctx context.Context, all []library, p place, r rates) ([]*entrant, error) {
	ctx, cancel := context.WithTimeout(ctx, enterTimeout)
	defer cancel()
	var in []*entrant
	for _, c := range all {
		opened, err := c.open(ctx, p, c.class)
		if err != nil {
			return in, fmt.Errorf("open %s: %w", c.name, err)
		}
		e := &entrant{library: c, client: opened}
		in = append(in, e)
		if err := opened.settle(ctx); err != nil {
			return in, fmt.Errorf("%s does not settle: %w", c.name, err)
		}
		e.traffic = newTraffic(opened, c.class, r, p.layout)
		if err := e.traffic.seed(ctx); err != nil {
			return in, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return in, nil
}

const (
	enterTimeout = 30 * time.Second
	closeTimeout = 10 * time.Second
)

// leave closes the clients; one that cannot be closed in time is left behind.
func leave(in []*entrant) (stuck []string) {
	for _, e := range in {
		if !within(closeTimeout, e.client.close) {
			stuck = append(stuck, e.name)
		}
	}
	return stuck
}

// within reports whether do returned before the limit.
func within(limit time.Duration, do func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}

// until polls a condition until it holds or ctx ends.
func until(ctx context.Context, ok func() bool) error {
	for !ok() {
		if err := machine.Pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
