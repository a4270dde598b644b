package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/revoke"
)

const (
	life         = 12 * time.Hour // of every revocation: none ends within a run
	readyWithin  = time.Minute
	fillers      = 512
	fillAttempts = 5
)

// place is where a list is: one server, or a Sentinel set.
type place struct {
	Addr       string   `json:"addr,omitempty"`
	Sentinels  []string `json:"sentinels,omitempty"`
	MasterName string   `json:"masterName,omitempty"`
}

// denylist is evercache's, with its client.
type denylist struct {
	*revoke.List
	client *evercache.Client
}

func (p place) client(ctx context.Context) (*evercache.Client, error) {
	return evercache.Open(ctx, evercache.Options{
		Addr: p.Addr, Sentinels: p.Sentinels, MasterName: p.MasterName, Logger: slog.New(slog.DiscardHandler),
	})
}

// openReady opens the list and waits until it is known.
func (p place) openReady(ctx context.Context, policy revoke.Policy) (denylist, error) {
	c, err := p.client(ctx)
	if err != nil {
		return denylist{}, err
	}
	l, err := revoke.New(c, policy)
	if err != nil {
		return denylist{}, errors.Join(err, c.Close())
	}
	list := denylist{l, c}
	bounded, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := l.WaitReady(bounded); err != nil {
		return denylist{}, errors.Join(fmt.Errorf("%w; findings %+v", err, c.Health().Findings), list.close())
	}
	return list, nil
}

// openFirst is openReady of a list that is new.
func (p place) openFirst(ctx context.Context, policy revoke.Policy) (denylist, error) {
	c, err := p.client(ctx)
	if err != nil {
		return denylist{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	_, err = revoke.Init(bounded, c, policy)
	if err := errors.Join(err, c.Close()); err != nil {
		return denylist{}, err
	}
	return p.openReady(ctx, policy)
}

func (l denylist) close() error {
	return errors.Join(l.List.Close(), l.client.Close())
}

// fill revokes ids 0 to n, each acknowledged by the master.
func (p place) fill(ctx context.Context, n int) (err error) {
	l, err := p.openFirst(ctx, revoke.Policy{AckTimeout: 10 * time.Second})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	expires := time.Now().Add(life)
	for range fillers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := l.revokeSurely(ctx, id(i), expires); err != nil {
					cancel(fmt.Errorf("revocation %d of %d: %w", i, n, err))
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (l denylist) revokeSurely(ctx context.Context, id string, expires time.Time) (err error) {
	for range fillAttempts {
		if _, err = l.Revoke(ctx, id, expires); err == nil || !evercache.IsRetryable(err) {
			break
		}
	}
	return err
}
