package dev

import (
	"context"
	"time"
)

// Looks are this far apart, and closer after a change.
const (
	lookEvery  = 400 * time.Millisecond
	lookHurry  = 60 * time.Millisecond
	hurryLasts = 10 * time.Second
	stateEvery = 200 * time.Millisecond
)

func (r *run) hurry() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// look is a Snapshot, and when it was begun.
type look struct {
	Snapshot
	began time.Time
}

// watch looks again and again until ctx ends.
func (r *run) watch(ctx context.Context, looks chan<- look) {
	var hurry time.Time // until then
	for ctx.Err() == nil {
		began := time.Now()
		s := r.servers.look(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case looks <- look{s, began}:
		case <-ctx.Done():
			return
		}
		wait := lookEvery
		if time.Now().Before(hurry) {
			wait = lookHurry
		}
		select {
		case <-time.After(wait):
		case <-r.kick:
			hurry = time.Now().Add(hurryLasts)
		case <-ctx.Done():
		}
	}
}

func (r *run) watchService(ctx context.Context, states chan<- string) {
	for ctx.Err() == nil {
		s := r.service.State(ctx)
		select {
		case states <- s:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(stateEvery):
		case <-r.service.Ended():
			return
		case <-ctx.Done():
		}
	}
}
