package redisproc

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// periods are how often a sentinel asks and tells; SENTINEL DEBUG changes them, since Redis 7.
type periods struct {
	info, publish, ask, ping time.Duration
}

var (
	// realPeriods are what a sentinel starts with.
	realPeriods = periods{info: 10 * time.Second, publish: 2 * time.Second, ask: time.Second, ping: time.Second}

	// fastPeriods demote a returned master after four publish periods, about five seconds, instead of
	// ten. Shorter would be harmful. A sentinel that has not heard of a planned failover demotes the
	// promoted replica after four publish periods, and the leader, which tells, asks once a second
	// only. A replica whose INFO is older than three info periods cannot be elected, nor one that
	// has not answered for five pings.
	fastPeriods = periods{info: 500 * time.Millisecond, publish: time.Second, ask: time.Second, ping: time.Second}

	// startPeriods are for a set whose master is known to be well: ping is also how long a sentinel
	// waits before it tries again to connect.
	startPeriods = periods{info: 100 * time.Millisecond, publish: 100 * time.Millisecond, ask: 100 * time.Millisecond, ping: 100 * time.Millisecond}
)

// startDownAfter is patience enough for a machine that starts many sets at once.
const startDownAfter = 30 * time.Second

// SetFast makes the running sentinels notice changes of the topology sooner: a returned master is
// demoted after five seconds instead of ten. What decides when a failover begins stays as it is,
// and so does its course; but for realistic timing it has to be off. A sentinel that is restarted
// forgets it.
func (s *Set) SetFast(ctx context.Context, on bool) error {
	if on {
		return s.setPeriods(ctx, fastPeriods)
	}
	return s.setPeriods(ctx, realPeriods)
}

// setPeriods does nothing before Redis 7, where everything only takes longer.
func (s *Set) setPeriods(ctx context.Context, v periods) error {
	err := s.tellSentinels(
		ctx, "SENTINEL", "DEBUG",
		"INFO-PERIOD", millis(v.info), "PUBLISH-PERIOD", millis(v.publish),
		"ASK-PERIOD", millis(v.ask), "PING-PERIOD", millis(v.ping),
	)
	if _, unknown := errors.AsType[ReplyError](err); unknown {
		return nil
	}
	return err
}

func (s *Set) setDownAfter(ctx context.Context, d time.Duration) error {
	return s.tellSentinels(ctx, "SENTINEL", "SET", s.options.MasterName, "down-after-milliseconds", millis(d))
}

// tellSentinels gives one command to every sentinel that can answer.
func (s *Set) tellSentinels(ctx context.Context, args ...string) error {
	for _, p := range s.sentinels {
		if !p.canAnswer() {
			continue
		}
		if _, err := p.Do(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func millis(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }
