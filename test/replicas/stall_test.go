package replicas_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

const keysOfARound = 20

// rounds are 12 of 20 keys, 240 reads. EVERCACHE_REPLICA_RUNS=5 has 5 times 36 rounds.
func rounds() int {
	if runs, err := strconv.Atoi(os.Getenv("EVERCACHE_REPLICA_RUNS")); err == nil {
		return 36 * runs
	}
	return 12
}

// stalls lets the replica stop, writes, and reads while it is stopped: the questions lie
// before the replica has executed the writes, and in the order in which it finds them
// when it goes on, it answers them first.
type stalls struct {
	*testing.T
	oracle  *oracle
	reader  *evercache.Client
	cache   *evercache.Cache[string] // the reader's
	writer  *evercache.Cache[string]
	master  *redistest.Server
	replica *redistest.Server
	bound   time.Duration
	heard   bool // the reader is to hear of the writes before it reads
	stop    time.Duration
	keys    func(round int) []string // nil: any
}

// run makes so many rounds, and more until the replica was refused as often for a reason: one
// that gave no answer in time is not asked for some rounds.
func (s *stalls) run(rounds int, reason string) {
	s.Helper()
	for n := 0; n < rounds || refused(s.reader, reason) < uint64(rounds) && n < 20*rounds; n++ {
		s.round(n)
	}
	if got := refused(s.reader, reason); got < uint64(rounds) {
		s.Errorf("the replica was refused %d times as %s: nothing was tried (%v)", got, reason, reasons(s.reader.Stats().Replicas))
	}
}

// round is one stall.
func (s *stalls) round(n int) {
	s.Helper()
	keys := s.keysOf(n)
	for _, key := range keys {
		s.oracle.write(s.T, s.writer, key)
	}
	s.settle()
	announced := s.reader.Health().Feed.Announced
	s.replica.Pause()
	var wg sync.WaitGroup
	first := make(chan struct{})
	wg.Go(func() { // so that the reader's connection is the first that the replica looks at
		close(first)
		_, _ = s.cache.Lookup(s.Context(), "first"+strconv.Itoa(n))
	})
	<-first
	time.Sleep(20 * time.Millisecond)
	for _, key := range keys {
		s.oracle.write(s.T, s.writer, key)
	}
	if s.heard {
		testkit.Until(s.T, "the changes are announced", func() bool {
			return s.reader.Health().Feed.Announced-announced >= keysOfARound
		})
	}
	answers := make([]answer, len(keys))
	for i, key := range keys {
		wg.Go(func() { answers[i] = read(s.Context(), s.cache, key) })
	}
	time.Sleep(s.stop)
	on := time.Now()
	s.replica.Resume()
	wg.Wait()
	for _, a := range answers {
		if a.entry.Source == evercache.SourceReplica {
			a.given = on
		}
		s.oracle.judge(s.T, s.cache, a, s.bound)
	}
}

func (s *stalls) keysOf(n int) []string {
	if s.keys != nil {
		return s.keys(n)
	}
	keys := make([]string, keysOfARound)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d-%d", n, i)
	}
	return keys
}

// settle waits until the replica has what was written.
func (s *stalls) settle() {
	s.Helper()
	want := offset(s.master)
	testkit.Until(s.T, "the replica has the writes", func() bool { return offset(s.replica) >= want })
	time.Sleep(120 * time.Millisecond) // and a barrier behind them
}

func TestAReplicaThatStalledIsNotBehindWhatWasAnnounced(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithDownAfter(30*time.Second))
	o := sentinelOptions(set)
	o.ReadTimeout = 8 * time.Second // so that a late answer still counts
	p := evercache.Policy{TTL: time.Hour, MaxStaleness: 30 * time.Second}
	reader, cache := open(t, o, p)
	_, writer := open(t, o, p)
	untilAsked(t, reader, cache, set.Master())
	s := &stalls{
		T: t, oracle: newOracle(), reader: reader, cache: cache, writer: writer, master: set.Master(), replica: replicaOf(set),
		bound: 30 * time.Second, heard: true, stop: 20 * time.Millisecond,
	}
	s.run(rounds(), "announced")
	time.Sleep(1100 * time.Millisecond) // what memory calls coherent must be the newest by now
	coherent := 0
	for key := range s.oracle.acks {
		a := read(t.Context(), cache, key)
		s.oracle.judge(t, cache, a, s.bound)
		if a.entry.Source == evercache.SourceMemory && a.entry.Coherent {
			coherent++
		}
	}
	t.Logf("%d keys in memory, coherent; %v", coherent, reasons(reader.Stats().Replicas))
}

func TestAReplicaThatStalledIsNotBehindOurOwnWrites(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithDownAfter(30*time.Second))
	o := sentinelOptions(set)
	o.ReadTimeout = 8 * time.Second
	p := evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never, MaxStaleness: 30 * time.Second}
	reader, cache := open(t, o, p)
	untilAsked(t, reader, cache, set.Master())
	s := &stalls{
		T: t, oracle: newOracle(), reader: reader, cache: cache, writer: cache, master: set.Master(), replica: replicaOf(set),
		bound: 30 * time.Second, stop: 20 * time.Millisecond,
	}
	s.run(rounds(), "own_write")
}

// TestWithoutAFeedAReplicaIsNoOlderThanMaxStaleness: nobody announces anything, so the
// bound alone holds, and nothing is coherent.
func TestWithoutAFeedAReplicaIsNoOlderThanMaxStaleness(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithDownAfter(30*time.Second),
		redistest.WithUser("deaf", "secret", "~*", "&*", "+@all", "-client|tracking"))
	o := sentinelOptions(set)
	o.ReadTimeout = 8 * time.Second
	p := evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never, MaxStaleness: 300 * time.Millisecond}
	_, writer := open(t, o, p)
	o.Username, o.Password = "deaf", "secret"
	reader, cache := open(t, o, p)
	untilAsked(t, reader, cache, set.Master())
	s := &stalls{
		T: t, oracle: newOracle(), reader: reader, cache: cache, writer: writer, master: set.Master(), replica: replicaOf(set),
		bound: 300 * time.Millisecond, stop: 400 * time.Millisecond,
	}
	s.run(rounds()/2, "lagging")
	key := "new"
	untilServed(t, reader, func() { _, _ = cache.Lookup(t.Context(), "k0-0") })
	s.replica.Pause()
	first := make(chan struct{})
	go func() {
		defer close(first)
		_, _ = cache.Lookup(t.Context(), "first")
	}()
	time.Sleep(20 * time.Millisecond)
	set.Master().Do("SET", class+":"+key, "1")
	go func() {
		time.Sleep(20 * time.Millisecond)
		s.replica.Resume()
	}()
	if a := read(t.Context(), cache, key); a.err != nil {
		t.Errorf("a key that the replica does not have yet: %v", a.err)
	}
	<-first
}

// TestAReplicaThatStalledIsNotBehindOurOwnDeletesOfPrefixes: of their keys nobody
// tells, since nothing is announced.
func TestAReplicaThatStalledIsNotBehindOurOwnDeletesOfPrefixes(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithDownAfter(30*time.Second),
		redistest.WithUser("deaf", "secret", "~*", "&*", "+@all", "-client|tracking"))
	o := sentinelOptions(set)
	o.Username, o.Password = "deaf", "secret"
	o.ReadTimeout = 8 * time.Second
	reader, cache := open(t, o, evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never, MaxStaleness: 30 * time.Second})
	untilAsked(t, reader, cache, set.Master())
	replica := replicaOf(set)
	for n := range 10 {
		key := "p-" + strconv.Itoa(n)
		set.Master().Do("SET", class+":"+key, "1") // nothing of it is known here
		testkit.Until(t, "the replica has the key", func() bool { return replica.Do("GET", class+":"+key) == "1" })
		untilServed(t, reader, func() { _, _ = cache.Lookup(t.Context(), key) })
		replica.Pause()
		first := make(chan struct{})
		go func() {
			defer close(first)
			_, _ = cache.Lookup(t.Context(), "first")
		}()
		time.Sleep(20 * time.Millisecond)
		if _, _, err := cache.DeletePrefix(t.Context(), "p-"); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(20 * time.Millisecond)
			replica.Resume()
		}()
		if a := read(t.Context(), cache, key); !errors.Is(a.err, evercache.ErrNotFound) {
			t.Errorf("after DeletePrefix: %q from %v, %v", a.entry.Value, a.entry.Source, a.err)
		}
		<-first
	}
	t.Log(reasons(reader.Stats().Replicas))
}

// offset is how far a node has come in the stream of its master.
func offset(n *redistest.Server) (at int) {
	for line := range strings.Lines(fmt.Sprint(n.Do("INFO", "replication"))) {
		if text, ok := strings.CutPrefix(line, "master_repl_offset:"); ok {
			at, _ = strconv.Atoi(strings.TrimSpace(text))
		}
	}
	return at
}

func replicaOf(set *redistest.Sentinel) *redistest.Server {
	master := set.Master()
	for _, n := range set.Nodes() {
		if n != master {
			return n
		}
	}
	return nil
}

// TestAHungReplicaLeavesTheMasterItsTime: a caller may give less time than the policy does.
func TestAHungReplicaLeavesTheMasterItsTime(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithDownAfter(time.Minute))
	o := sentinelOptions(set)
	o.ReadTimeout = 8 * time.Second
	client, cache := open(t, o, evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never})
	keys := fill(t, set.Master(), "k", 2)
	untilAsked(t, client, cache, set.Master())
	replicaOf(set).Pause()
	defer replicaOf(set).Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond) // less than a quarter of the policy's, and than the connection is given
	defer cancel()
	if e, err := cache.Lookup(ctx, keys[0]); err != nil || e.Value == "" {
		t.Errorf("%+v, %v", e, err)
	}
	if got, err := cache.GetMany(ctx, keys[1:], nil); err != nil || len(got) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
