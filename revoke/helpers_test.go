package revoke_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// process stands for a process: a client and its list.
type process struct {
	*revoke.List
	client *evercache.Client
	tb     testing.TB
	closed bool
}

func options(set *redistest.Sentinel) evercache.Options {
	return evercache.Options{Sentinels: set.Addrs(), MasterName: set.MasterName()}
}

// single is patient: a test machine is busy.
func single(s *redistest.Server) evercache.Options {
	return evercache.Options{Addr: s.Addr(), ReadTimeout: 500 * time.Millisecond, WriteTimeout: time.Second}
}

func start(tb testing.TB, o evercache.Options, p revoke.Policy) *process {
	tb.Helper()
	p.AckTimeout = cmp.Or(p.AckTimeout, 10*time.Second) // the same
	return startWith(tb, o, func(c *evercache.Client) (*revoke.List, error) { return revoke.New(c, p) })
}

func startWith(tb testing.TB, o evercache.Options, open func(*evercache.Client) (*revoke.List, error)) *process {
	tb.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.CloseTimeout = 500 * time.Millisecond
	c, err := evercache.Open(context.Background(), o)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := open(c)
	if err != nil {
		tb.Fatal(err)
	}
	proc := &process{List: l, client: c, tb: tb}
	tb.Cleanup(proc.end)
	return proc
}

// end is an orderly end; what it reports is for other tests.
func (p *process) end() {
	if p.closed {
		return
	}
	p.closed = true
	_ = p.List.Close()
	_ = p.client.Close()
}

// startAll starts processes on a list that is marked, and waits for them.
func startAll(tb testing.TB, n int, o evercache.Options, p revoke.Policy) []*process {
	tb.Helper()
	var ps []*process
	for range n {
		ps = append(ps, start(tb, o, p))
	}
	initAll(tb, ps, p)
	return ps
}

func (p *process) waitReady() {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.WaitReady(ctx); err != nil {
		p.tb.Fatalf("%v; %+v; findings %+v", err, p.Stats(), p.client.Health().Findings)
	}
}

// revoke revokes ids, and fails the test unless every one is acknowledged. On a busy
// machine that may take more than one attempt, which is safe to repeat.
func (p *process) revoke(ids ...string) {
	p.tb.Helper()
	ends := time.Now().Add(30 * time.Second)
	for _, id := range ids {
		for {
			r, err := p.Revoke(context.Background(), id, inAnHour())
			if err == nil {
				break
			}
			if !evercache.IsRetryable(err) || time.Now().After(ends) {
				p.tb.Fatalf("Revoke: %v, %v", r, err)
			}
		}
	}
}

func inAnHour() time.Time { return time.Now().Add(time.Hour) }

func ids(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

func (p *process) status(id string) revoke.Status { return p.Check(revoke.Token{ID: id}).Status }

// accepted are those of the ids that would be let in.
func (p *process) accepted(ids []string) (in []string) {
	for _, id := range ids {
		if p.Check(revoke.Token{ID: id}).Allowed() {
			in = append(in, id)
		}
	}
	return in
}

// missing are those that are not known to be revoked.
func (p *process) missing(ids []string) (in []string) {
	for _, id := range ids {
		if p.status(id) != revoke.Revoked {
			in = append(in, id)
		}
	}
	return in
}

func eventually(tb testing.TB, limit time.Duration, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not within %v: %s", limit, what)
		}
	}
}

var lateness = testbed.Lateness

func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

const (
	setKey    = "~r:{tokens}:set"
	streamKey = "~r:{tokens}:stream"
	numberKey = "~r:{tokens}:n"
)

// startAt starts a process whose wall clock is that from the first moment.
func startAt(tb testing.TB, o evercache.Options, p revoke.Policy, wall func() time.Time) *process {
	tb.Helper()
	return startWith(tb, o, func(c *evercache.Client) (*revoke.List, error) { return revoke.NewAt(c, p, wall) })
}

// initAll marks the list, and waits for the processes.
func initAll(tb testing.TB, ps []*process, p revoke.Policy) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 40*time.Second)
	defer cancel()
	_, err := revoke.Init(ctx, ps[0].client, p)
	for err != nil && ctx.Err() == nil { // a busy machine delays one question or another
		_, err = revoke.Init(ctx, ps[0].client, p)
	}
	if err != nil {
		tb.Fatal(err)
	}
	for _, q := range ps {
		q.waitReady()
	}
}
