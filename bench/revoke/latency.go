package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/revoke"
)

const (
	// downAfter is long: a machine busy with the measurement is no dead master.
	downAfter = 10 * time.Second
	pace      = time.Millisecond // between an acknowledgement and the next call
	seenEach  = 20 * time.Microsecond
	ackWithin = 5 * time.Second
	graceTime = 10 * time.Second // for the last revocations to be refused
)

// level is what Revoke is asked for.
type level struct {
	name   string
	policy revoke.Policy
}

var levels = []level{
	{"Master", revoke.Policy{Durability: evercache.Master, AckTimeout: ackWithin}},
	{"Replicated(1)", revoke.Policy{Durability: evercache.Replicated, AckTimeout: ackWithin}},
}

// latency is one repetition at one level: milliseconds from the call of Revoke.
type latency struct {
	Level      string  `json:"level"`
	AckP50     float64 `json:"ackP50"` // until it returns
	AckP99     float64 `json:"ackP99"`
	RefusedP50 float64 `json:"refusedP50"` // until another process refuses
	RefusedP99 float64 `json:"refusedP99"`
	Before     float64 `json:"before"` // share that was refused there before Revoke returned
}

func (o options) measureRevocations(ctx context.Context, r *report) (err error) {
	tell("starting a Sentinel set")
	set, err := redisproc.StartSet(ctx, redisproc.SetOptions{DownAfter: downAfter, Config: []string{"repl-diskless-sync-delay 0"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	p := place{MasterName: set.MasterName()}
	for _, s := range set.Sentinels() {
		p.Sentinels = append(p.Sentinels, s.Addr())
	}
	for n := range o.repeat {
		for _, l := range levels {
			tell("revoke at %s, repetition %d of %d", l.name, n+1, o.repeat)
			got, err := p.revokeAll(ctx, l, fmt.Sprintf("%s-%d-", l.name, n), o.revocations)
			if err != nil {
				return fmt.Errorf("revoke at %s: %w", l.name, err)
			}
			r.Revoke = append(r.Revoke, got)
		}
	}
	return nil
}

// watched says which ids a witness waits for: prefix and a number.
type watched struct {
	Place  place  `json:"place"`
	Prefix string `json:"prefix"`
	Count  int    `json:"count"`
}

// seen are the moments at which it knew, in nanoseconds of the machine's clock.
type seen struct {
	At []int64 `json:"at"`
}

// revokeAll revokes one id after the other while another process watches.
func (p place) revokeAll(ctx context.Context, l level, prefix string, n int) (latency, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the other process
	list, err := p.openFirst(ctx, l.policy)
	if err != nil {
		return latency{}, err
	}
	defer func() { _ = list.close() }() // all of it is acknowledged, or there is an error already
	other, err := startChild(ctx, taskWitness, watched{p, prefix, n})
	if err != nil {
		return latency{}, err
	}
	if line, err := other.out.ReadString('\n'); err != nil || line != readyLine {
		other.kill()
		return latency{}, fmt.Errorf("the other process does not get ready: %q, %w", line, err)
	}
	calls, err := list.revokeInTurn(ctx, prefix, n)
	if err != nil {
		other.kill()
		return latency{}, err
	}
	var s seen
	if err := other.end(&s); err != nil {
		return latency{}, fmt.Errorf("the other process: %w", err)
	}
	if len(s.At) != n {
		return latency{}, fmt.Errorf("the other process saw %d of %d", len(s.At), n)
	}
	return weighUp(l.name, calls, s.At), nil
}

// call is one call of Revoke.
type call struct{ began, ended time.Time }

func (l denylist) revokeInTurn(ctx context.Context, prefix string, n int) ([]call, error) {
	calls := make([]call, n)
	expires := time.Now().Add(life)
	for i := range calls {
		if err := machine.Pause(ctx, pace); err != nil {
			return nil, err
		}
		began := time.Now()
		if _, err := l.Revoke(ctx, fmt.Sprint(prefix, i), expires); err != nil {
			return nil, fmt.Errorf("revocation %d of %d: %w", i, n, err)
		}
		calls[i] = call{began, time.Now()}
	}
	return calls, nil
}

// weighUp makes figures of the calls and of when another process knew.
func weighUp(level string, calls []call, at []int64) latency {
	var acks, refusals []float64
	before := 0
	for i, c := range calls {
		acks = append(acks, millis(c.ended.Sub(c.began)))
		refusals = append(refusals, millis(time.Duration(at[i]-c.began.UnixNano())))
		if at[i] <= c.ended.UnixNano() {
			before++
		}
	}
	slices.Sort(acks)
	slices.Sort(refusals)
	return latency{
		Level: level, AckP50: quantile(acks, 0.5), AckP99: quantile(acks, 0.99),
		RefusedP50: quantile(refusals, 0.5), RefusedP99: quantile(refusals, 0.99),
		Before: float64(before) / float64(max(1, len(calls))),
	}
}

// readyLine is what a witness prints when it knows the list.
const readyLine = "ready\n"

// witness is the other process. The ids are revoked in order, so it waits for
// one at a time.
func witness(ctx context.Context, w watched, out io.Writer) (s seen, err error) {
	l, err := w.Place.openReady(ctx, revoke.Policy{})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if _, err := io.WriteString(out, readyLine); err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, graceTime+time.Duration(w.Count)*(pace+ackWithin))
	defer cancel()
	for i := range w.Count {
		t := revoke.Token{ID: fmt.Sprint(w.Prefix, i)}
		for l.Check(t).Status != revoke.Revoked {
			if ctx.Err() != nil {
				return s, fmt.Errorf("revocation %d of %d is not known: %w", i, w.Count, context.Cause(ctx))
			}
			time.Sleep(seenEach)
		}
		s.At = append(s.At, time.Now().UnixNano())
	}
	return s, nil
}
