package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// state is how the database is.
type state uint8

const (
	well state = iota
	hung
	failing
)

const (
	latency     = 30 * time.Millisecond
	driverLimit = time.Second // of a query, as a driver is usually set up
	connections = 50
)

var (
	errDown    = errors.New("the database is down")
	errTimeout = errors.New("the database has not answered in time")
)

// database answers after a while, or does not. Who finds no connection free waits.
type database struct {
	free    chan struct{}
	queries atomic.Int64

	mu      sync.Mutex // guards the rest
	state   state
	changed chan struct{} // closed at the next change
}

func newDatabase() *database {
	return &database{free: make(chan struct{}, connections), changed: make(chan struct{})}
}

func (d *database) become(s state) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = s
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *database) now() (state, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state, d.changed
}

func (d *database) query(ctx context.Context, key string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, driverLimit, errTimeout)
	defer cancel()
	select {
	case d.free <- struct{}{}:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { <-d.free }()
	d.queries.Add(1)
	for s, changed := d.now(); s == hung; s, changed = d.now() {
		select {
		case <-changed:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if s, _ := d.now(); s == failing {
		return "", errDown
	}
	return "row of " + key, nil
}
