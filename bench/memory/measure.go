package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/redisproc"
)

// phase is what happens while the process is observed.
type phase struct {
	name          string
	before        func(context.Context, *redisproc.Process, *service) error
	writes, reads bool
}

var phases = []phase{
	{name: "idle"},
	{name: "writes, each key new", writes: true},
	{name: "reads of what was written", reads: true},
	{name: "outage, writes and reads", before: kill, writes: true, reads: true},
	{name: "Redis is back, empty; writes and reads", before: comeBack, writes: true, reads: true},
}

func kill(_ context.Context, redis *redisproc.Process, _ *service) error { return redis.Kill() }

func comeBack(ctx context.Context, redis *redisproc.Process, _ *service) error {
	return redis.Restart(ctx, redisproc.Empty)
}

func (o options) measure(ctx context.Context) (rows []row, err error) {
	redis, err := redisproc.Start(ctx, redisproc.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	s, err := startService(ctx, redis, o.limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	l := &load{service: s, value: bytes.Repeat([]byte("v"), o.value)}
	for _, p := range phases {
		if p.before != nil {
			if err := p.before(ctx, redis, s); err != nil {
				return rows, err
			}
		}
		r, err := o.observe(ctx, l, p)
		rows = append(rows, r)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// observe is one row.
func (o options) observe(ctx context.Context, l *load, p phase) (r row, err error) {
	pid := l.service.cmd.Process.Pid
	if err := forgetPeak(pid); err != nil {
		return r, err
	}
	r.phase = p.name
	before := l.counts()
	l.run(ctx, o, p)
	r.between(before, l.counts())
	if err := l.service.state(); err != nil {
		return r, err
	}
	if r.now, r.peak, err = resident(pid); err != nil {
		return r, err
	}
	r.heap, err = l.service.metric(ctx, "go_memstats_heap_inuse_bytes")
	return r, err
}

// load calls the service.
type load struct {
	service *service
	value   []byte

	keys                  atomic.Int64 // written so far
	writes, reads, failed atomic.Int64
}

type counts struct{ writes, reads, failed int64 }

func (l *load) counts() counts { return counts{l.writes.Load(), l.reads.Load(), l.failed.Load()} }

// run lets the callers call for the length of a phase.
func (l *load) run(ctx context.Context, o options, p phase) {
	ctx, cancel := context.WithTimeout(ctx, o.length)
	defer cancel()
	if !p.writes && !p.reads {
		<-ctx.Done()
		return
	}
	var wg sync.WaitGroup
	for i := range o.callers {
		wg.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				l.call(ctx, p.writes && (!p.reads || n%2 == 0))
			}
		})
	}
	wg.Wait()
}

// call is one request. A key that is not found is a good answer.
func (l *load) call(ctx context.Context, write bool) {
	method, body, key, count := http.MethodGet, io.Reader(nil), int64(0), &l.reads
	if write {
		method, body, key, count = http.MethodPut, bytes.NewReader(l.value), l.keys.Add(1), &l.writes
	} else {
		key = 1 + rand.Int64N(max(1, l.keys.Load()))
	}
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://%s/v1/cache/bench/key-%012d", l.service.addr, key), body)
	if err != nil {
		l.failed.Add(1)
		return
	}
	resp, err := client.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	switch {
	case ctx.Err() != nil:
	case err == nil && (resp.StatusCode < 300 || !write && (resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusServiceUnavailable)):
		count.Add(1)
	default:
		if l.failed.Add(1) == 1 {
			fmt.Fprintf(os.Stderr, "the first call that failed: %s, %v, %v\n", method, resp, err)
		}
		_ = machine.Pause(ctx, 10*time.Millisecond)
	}
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// metric is a number of /metrics.
func (s *service) metric(ctx context.Context, name string) (float64, error) {
	body, err := get(ctx, "http://"+s.addr+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}

// forgetPeak lets the kernel count the highest resident memory anew.
func forgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o200)
}

// resident is the resident memory of a process, and the highest since forgetPeak.
func resident(pid int) (now, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
		kib, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "VmRSS":
			now = kib * 1024
		case "VmHWM":
			peak = kib * 1024
		}
	}
	return now, peak, nil
}
