package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

const (
	// downAfter is long: a machine busy with the measurement is no dead master.
	downAfter = 10 * time.Second
	// settle is from the last client's start, and from each row, to the next: a client that
	// nobody uses rests after five seconds.
	settle = 8 * time.Second
)

// phase is what the clients do while they are observed.
type phase struct {
	name    string
	writers func(clients int) int
	reads   bool // all read from memory
}

var phases = []phase{
	{name: "idle", writers: func(int) int { return 0 }},
	{name: "all read memory", writers: func(int) int { return 0 }, reads: true},
	{name: "one writes", writers: func(int) int { return 1 }},
	{name: "all write", writers: func(clients int) int { return clients }},
}

// member is a client with one class.
type member struct {
	client *evercache.Client
	cache  *evercache.Cache[string]
}

func (o options) measureAll(ctx context.Context) (rows []row, err error) {
	set, err := redisproc.StartSet(ctx, redisproc.SetOptions{DownAfter: downAfter, Config: []string{"repl-diskless-sync-delay 0"}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	for _, n := range o.clients {
		more, err := o.measure(ctx, set, n)
		rows = append(rows, more...)
		if err != nil {
			return rows, fmt.Errorf("%d clients: %w", n, err)
		}
	}
	return rows, nil
}

// measure observes every phase with n clients.
func (o options) measure(ctx context.Context, set *redisproc.Set, n int) (rows []row, err error) {
	members, err := join(ctx, set, n)
	defer func() {
		for _, m := range members {
			_ = m.client.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	for i, p := range phases {
		if w := p.writers(n); w > n || p.reads && n < 1 || i == len(phases)-1 && n < 2 {
			continue
		}
		if err := machine.Pause(ctx, settle); err != nil {
			return rows, err
		}
		fmt.Fprintf(os.Stderr, "%d clients, %s\n", n, p.name)
		r, err := o.observe(ctx, set, members, p)
		if err != nil {
			return rows, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// join opens the clients and waits until each has a confirmed master and a feed.
func join(ctx context.Context, set *redisproc.Set, n int) (members []member, err error) {
	for range n {
		c, err := evercache.Open(ctx, evercache.Options{
			Sentinels: addrs(set.Sentinels()), MasterName: set.MasterName(), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return members, err
		}
		cache, err := evercache.NewCache[string](c, "cost", evercache.Policy{})
		members = append(members, member{c, cache})
		if err != nil {
			return members, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, m := range members {
		for !m.well() {
			if err := machine.Pause(ctx, 10*time.Millisecond); err != nil {
				return members, fmt.Errorf("%d of %d clients do not settle, one is %s: %w", unsettled(members), n, m.describe(), err)
			}
		}
	}
	return members, nil
}

func (m member) well() bool {
	h := m.client.Health()
	return h.State == health.Connected && h.Sentinel.Stage == "clear" && !h.Sentinel.Provisional && h.Feed.Coherent
}

func (m member) describe() string {
	h := m.client.Health()
	return fmt.Sprintf("%v (%v), stage %s, provisional %v, feed on %v (%v), coherent %v, lease %v",
		h.State, h.Cause, h.Sentinel.Stage, h.Sentinel.Provisional, h.Feed.On, h.Feed.Cause, h.Feed.Coherent, h.Feed.Lease)
}

func unsettled(members []member) (n int) {
	for _, m := range members {
		if !m.well() {
			n++
		}
	}
	return n
}

func addrs(processes []*redisproc.Process) (all []string) {
	for _, p := range processes {
		all = append(all, p.Addr())
	}
	return all
}

// observe is one row.
func (o options) observe(ctx context.Context, set *redisproc.Set, members []member, p phase) (row, error) {
	r := row{clients: len(members), phase: p.name}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var w writer
	if n := p.writers(len(members)); n > 0 {
		w = writer{members: members[:n], every: time.Duration(float64(time.Second) / o.writes)}
		wg.Go(func() { w.run(writing) })
		if err := machine.Pause(ctx, time.Second); err != nil { // the pace of the barriers has changed
			return r, err
		}
	}
	if p.reads {
		if err := keep(ctx, members); err != nil {
			return r, err
		}
		wg.Go(func() { readAll(writing, members) })
		if err := machine.Pause(ctx, time.Second); err != nil {
			return r, err
		}
	}
	before, err := look(ctx, set, members, &w)
	if err != nil {
		return r, err
	}
	if err := machine.Pause(ctx, o.length); err != nil {
		return r, err
	}
	after, err := look(ctx, set, members, &w)
	r.between(before, after)
	return r, err
}

// keep has every member keep a value in memory.
func keep(ctx context.Context, members []member) error {
	for _, m := range members {
		if _, err := m.cache.Set(ctx, "read", "value"); err != nil {
			return err
		}
	}
	return nil
}

// readAll has each member read its value ten times a second.
func readAll(ctx context.Context, members []member) {
	for machine.Pause(ctx, 100*time.Millisecond) == nil {
		for _, m := range members {
			_, _ = m.cache.Lookup(ctx, "read")
		}
	}
}

// writer lets the members write in turn, each its own keys.
type writer struct {
	members []member
	every   time.Duration

	mu     sync.Mutex // guards the rest
	done   int
	failed int
}

func (w *writer) run(ctx context.Context) {
	began := time.Now()
	for n := 0; machine.Pause(ctx, time.Until(began.Add(time.Duration(n)*w.every))) == nil; n++ {
		_, err := w.members[n%len(w.members)].cache.Set(ctx, fmt.Sprint("key-", n%1000), "value")
		w.mu.Lock()
		if err == nil {
			w.done++
		} else {
			w.failed++
		}
		w.mu.Unlock()
	}
}

func (w *writer) count() (done, failed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done, w.failed
}

// counts are what everything had counted at one moment.
type counts struct {
	at             time.Time
	cpu            time.Duration
	writes, failed int
	announced      uint64
	master         map[string]float64 // calls by command
	output         float64            // bytes that the master has sent
	masterCPU      float64            // seconds
	replicas       float64            // commands, of all replicas
	sentinels      float64
}

func look(ctx context.Context, set *redisproc.Set, members []member, w *writer) (c counts, err error) {
	c.at, c.cpu = time.Now(), machine.CPUTime()
	c.writes, c.failed = w.count()
	for _, m := range members {
		c.announced += m.client.Health().Feed.Announced
	}
	nodes := set.Nodes()
	if err = c.asked(ctx, nodes[0]); err != nil {
		return c, err
	}
	if c.replicas, err = processed(ctx, nodes[1:]); err != nil {
		return c, err
	}
	c.sentinels, err = processed(ctx, set.Sentinels())
	return c, err
}

// asked takes what the master has counted: the calls of each command, the bytes that it
// has sent, and its processor time.
func (c *counts) asked(ctx context.Context, p *redisproc.Process) error {
	reply, err := p.Do(ctx, "INFO", "everything")
	if err != nil {
		return err
	}
	text, _ := reply.(string)
	c.master = map[string]float64{}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		if command, ok := strings.CutPrefix(name, "cmdstat_"); ok {
			c.master[command] = number(strings.TrimPrefix(rest, "calls="))
		}
		switch name {
		case "total_net_output_bytes":
			c.output = number(rest)
		case "used_cpu_sys", "used_cpu_user":
			seconds, _ := strconv.ParseFloat(rest, 64)
			c.masterCPU += seconds
		}
	}
	return nil
}

// processed are the commands that the processes have answered together.
func processed(ctx context.Context, of []*redisproc.Process) (total float64, err error) {
	for _, p := range of {
		reply, err := p.Do(ctx, "INFO", "stats")
		if err != nil {
			return 0, err
		}
		text, _ := reply.(string)
		_, rest, _ := strings.Cut(text, "total_commands_processed:")
		total += number(rest)
	}
	return total, nil
}

// number is the one that a text begins with.
func number(text string) (n float64) {
	for _, digit := range text {
		if digit < '0' || digit > '9' {
			break
		}
		n = n*10 + float64(digit-'0')
	}
	return n
}
