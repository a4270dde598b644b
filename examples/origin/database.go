package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// health is how the database is.
type health int32

const (
	well health = iota
	hung
	failing
)

const latency = 30 * time.Millisecond

// database is one with few connections: who finds none free waits.
type database struct {
	health      atomic.Int32
	connections chan struct{}
	queries     atomic.Int64
}

func newDatabase() *database { return &database{connections: make(chan struct{}, 50)} }

var errDown = errors.New("the database is down")

// query is the loader: evercache.Loader[string].
func (d *database) query(ctx context.Context, key string) (string, error) {
	select {
	case d.connections <- struct{}{}:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { <-d.connections }()
	d.queries.Add(1)
	answered := time.NewTimer(latency)
	defer answered.Stop()
	if health(d.health.Load()) == hung {
		<-ctx.Done()
		return "", context.Cause(ctx)
	}
	select {
	case <-answered.C:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if health(d.health.Load()) == failing {
		return "", errDown
	}
	return "row of " + key, nil
}
