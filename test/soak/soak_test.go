// Package soak_test compares every answer of three clients with what was written, for as
// many operations as EVERCACHE_SOAK_OPS says, while a Sentinel set loses masters, replicas
// and sentinels. Nothing is recorded, so there is no bound: see [judge].
package soak_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

const (
	clients = 3
	rows    = 3000
	// calmFor is how long the set is well between two faults: memory answers then.
	calmFor = 5 * time.Second
	// short is what `make test` does.
	short = 200_000
)

// soak is the work and what it has seen.
type soak struct {
	t      *testing.T
	set    *redistest.Sentinel
	links  []*redistest.Proxy // between the first client and the set
	opened [clients]*evercache.Client
	caches [clients]*evercache.Cache[[]byte]
	rows   [rows]row
	// calm is held by each writer while it writes.
	calm sync.RWMutex

	goal   int64
	gentle bool
	ops    atomic.Int64
	writes atomic.Int64
	away   atomic.Int64 // reads that nobody could answer
	failed atomic.Int64 // writes that were not acknowledged
	faults atomic.Int64
}

func open(t *testing.T) *soak {
	t.Helper()
	s := &soak{t: t, goal: short, gentle: true}
	if n, err := strconv.ParseInt(os.Getenv("EVERCACHE_SOAK_OPS"), 10, 64); err == nil && n > 0 {
		s.goal, s.gentle = n, false
	}
	s.set = redistest.StartSentinel(t, redistest.WithFastSentinel())
	for i := range clients {
		o := evercache.Options{
			Sentinels: s.set.Addrs(), MasterName: s.set.MasterName(), MemoryBytes: 64 << 20,
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		}
		if i == 0 {
			s.throughProxies(&o)
		}
		client, err := evercache.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		cache, err := evercache.NewCache[[]byte](client, "row", evercache.Policy{TTL: time.Hour, Stale: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		s.opened[i], s.caches[i] = client, cache
		testbed.Connect(t, client, patience)
	}
	return s
}

// throughProxies puts a network of its own between a client and the set.
func (s *soak) throughProxies(o *evercache.Options) {
	proxy := func(addr string) string {
		p := redistest.NewProxy(s.t, addr)
		s.links = append(s.links, p)
		return p.Addr()
	}
	o.AddressMap = map[string]string{}
	for _, n := range s.set.Nodes() {
		o.AddressMap[n.Addr()] = proxy(n.Addr())
	}
	o.Sentinels = nil
	for _, addr := range s.set.Addrs() {
		o.AddressMap[addr] = proxy(addr)
		o.Sentinels = append(o.Sentinels, o.AddressMap[addr])
	}
}

// names are the keys of the rows.
var names = func() (all [rows]string) {
	for n := range all {
		all[n] = fmt.Sprintf("r%04d", n)
	}
	return all
}()

func name(n int) string { return names[n] }

// report counts a fault, and shows the first of them.
func (s *soak) report(f fault, n, reader int, a answer, least, most uint64) {
	if s.faults.Add(1) <= 20 {
		s.t.Errorf("row %d, client %d: %s: %+v, and versions %d to %d were possible", n, reader, f, a, least, most)
	}
}

// write writes the next version of a row of the client.
func (s *soak) write(ctx context.Context, n int) {
	s.calm.RLock()
	defer s.calm.RUnlock()
	r, cache := &s.rows[n], s.caches[n%clients]
	version := r.begun.Add(1)
	var receipt evercache.Receipt
	var err error
	if deletes(version) {
		receipt, err = cache.Delete(ctx, name(n))
	} else {
		value := make([]byte, 8+rand.IntN(200))
		binary.BigEndian.PutUint64(value, version)
		receipt, err = cache.Set(ctx, name(n), value)
	}
	s.writes.Add(1)
	if err != nil {
		s.failed.Add(1)
		s.t.Errorf("row %d: version %d: %v", n, version, err)
		return
	}
	r.told.Store(version)
	if receipt.Durability >= evercache.Master {
		r.land(version, time.Now())
	} else {
		r.settle(time.Now())
	}
}

// writer writes the rows that are its own, one after the other in any order.
func (s *soak) writer(ctx context.Context, client, worker, workers int) {
	for ctx.Err() == nil {
		mine := worker + workers*rand.IntN(rows/clients/workers)
		s.write(s.t.Context(), client+clients*mine)
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
	}
}

// read reads a row and judges the answer.
func (s *soak) read(n, reader int) {
	r := &s.rows[n]
	own := n%clients == reader
	least := r.settled.Load()
	if own {
		least = r.told.Load()
	}
	a, err := ask(s.t.Context(), s.caches[reader], n)
	if err != nil {
		s.away.Add(1)
		return
	}
	if f := judge(a, own, least, r.begun.Load()); f != fine {
		s.report(f, n, reader, a, least, r.begun.Load())
	}
}

// ask makes an answer of a read.
func ask(ctx context.Context, cache *evercache.Cache[[]byte], n int) (answer, error) {
	e, err := cache.Lookup(ctx, name(n))
	switch {
	case errors.Is(err, evercache.ErrNotFound):
		return answer{}, nil
	case err != nil:
		return answer{}, err
	case len(e.Value) < 8:
		return answer{found: true}, nil
	}
	return answer{true, binary.BigEndian.Uint64(e.Value), e.Coherent}, nil
}

// fill writes every row once and reads it everywhere, so that most answers are from memory.
func (s *soak) fill() {
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := c; n < rows; n += clients {
				s.write(s.t.Context(), n)
			}
		})
	}
	wg.Wait()
	for c := range clients {
		wg.Go(func() {
			for n := range rows {
				s.read(n, c)
			}
		})
	}
	wg.Wait()
}

// reader reads rows until the work is done.
func (s *soak) reader(ctx context.Context, client int) {
	const batch = 256
	for ctx.Err() == nil {
		began := time.Now()
		for range batch {
			s.read(rand.IntN(rows), client)
		}
		s.ops.Add(batch)
		nap := 3 * time.Since(began) // the clients and the servers need the processors too
		if s.gentle {
			nap = max(nap, 10*time.Millisecond)
		}
		time.Sleep(nap)
	}
}

// inspector compares memory with Redis all the time.
func (s *soak) inspector(ctx context.Context, client int) {
	for ctx.Err() == nil {
		found, err := s.caches[client].Inspect(ctx, 200)
		if found.Wrong > 0 {
			s.faults.Add(int64(found.Wrong))
			s.t.Errorf("client %d: Inspect found %+v", client, found)
		}
		if err != nil || s.gentle {
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// work starts everybody and returns what ends it.
func (s *soak) work() (stop func()) {
	const writers, readers = 3, 2 // for each client
	ctx, cancel := context.WithCancel(s.t.Context())
	var wg sync.WaitGroup
	for c := range clients {
		for w := range writers {
			wg.Go(func() { s.writer(ctx, c, w, writers) })
		}
		for range readers {
			wg.Go(func() { s.reader(ctx, c) })
		}
		wg.Go(func() { s.inspector(ctx, c) })
	}
	return func() { cancel(); wg.Wait() }
}

// settled waits until nothing is owed to Redis, and asks every client for every row:
// each has the version that was acknowledged last.
func (s *soak) settled(after string) {
	s.t.Helper()
	s.calm.Lock()
	defer s.calm.Unlock()
	s.t.Logf("after %s: %d answers", after, s.ops.Load())
	for _, c := range s.opened {
		testbed.WaitSent(s.t, c, patience)
	}
	var behind []string
	testbed.Until(s.t, patience, func() bool { behind = s.behind(); return len(behind) == 0 },
		func() string { return fmt.Sprintf("after %s rows are behind: %v", after, behind[:min(len(behind), 9)]) })
}

// behind are the rows that a client does not have as they were acknowledged last.
func (s *soak) behind() (rows []string) {
	for n := range s.rows {
		want := s.rows[n].told.Load()
		for c, cache := range s.caches {
			a, err := ask(s.t.Context(), cache, n)
			if err != nil || a.found == (want == 0 || deletes(want)) || a.found && a.version != want {
				rows = append(rows, fmt.Sprintf("row %d, client %d: %+v (%v), want version %d", n, c, a, err, want))
			}
		}
	}
	return rows
}

// TestSoak: no answer is wrong, whatever happens to the set.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := open(t)
	began := time.Now()
	s.fill()
	stop := s.work()
	defer stop()
	done := map[string]int{}
	for s.ops.Load() < s.goal || len(done) == 0 {
		for _, i := range rand.Perm(len(faults)) {
			faults[i].happen(s)
			s.settled(faults[i].name)
			done[faults[i].name]++
			if !s.gentle {
				time.Sleep(calmFor)
			}
			if s.ops.Load() >= s.goal {
				break
			}
		}
	}
	stop()
	var checked, wrong uint64
	for _, c := range s.opened {
		checked += c.Stats().Inspected
		wrong += c.Stats().InspectedWrong
	}
	t.Logf("SOAK | %d reads and %d writes in %v | %v | %d wrong | Inspect: %d compared, %d wrong | not answered %d, not acknowledged %d",
		s.ops.Load(), s.writes.Load(), time.Since(began).Round(time.Second), done, s.faults.Load(), checked, wrong, s.away.Load(), s.failed.Load())
	if checked == 0 {
		t.Error("Inspect has compared nothing")
	}
}
