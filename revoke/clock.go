package revoke

import (
	"context"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

// clocks says what time it is at most. No clock is known to be right: ours, the
// server's or another process's may be hours ahead, and an entry that goes too
// early lets a revoked token in. So an entry is over when it is over by the
// slowest of them.
type clocks struct {
	mu    sync.Mutex // guards what follows
	peers int64      // how far the slowest process is ahead of ours, in ms; at most 0
	slack int64      // how far our clock was ahead of the slowest, in ms, within the last window
	since time.Time  // when slack was found
	wall  int64      // what our clock said, in ms, when a server was last asked
	asked time.Time  // when that was

	ahead atomic.Int64 // how far the server's clock was ahead of ours, in ms, when it was last looked at
}

// window is how long a difference between clocks is remembered: it outlives a
// failover, a server that is away, and a process that is restarted.
const window = time.Hour

// slowest is the time, in ms, by the slowest clock. low is the server's time at
// the least; 0: no server is there to ask.
func (c *clocks) slowest(wall, low int64, now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if low <= 0 {
		if !c.asked.IsZero() { // our clock may be set meanwhile
			wall = min(wall, c.wall+now.Sub(c.asked).Milliseconds())
		}
		return wall - c.slack
	}
	c.wall, c.asked = wall, now
	floor := min(wall, low, wall+c.peers)
	if slack := wall - floor; slack >= c.slack || now.Sub(c.since) > window {
		c.slack, c.since = slack, now
	}
	return wall - c.slack
}

// heard takes what Redis says of the clocks of all processes.
func (c *clocks) heard(peers time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers = min(0, peers.Milliseconds())
}

// slowest is the time by the slowest clock that is known, in milliseconds.
func (l *List) slowest(m kit.Master) int64 {
	now, wall, low := time.Now(), l.wall(), int64(0)
	if m != nil {
		if ahead, most, ok := m.ClockAhead(wall); ok {
			low = max(1, wall.UnixMilli()+ahead.Milliseconds())
			l.clocks.ahead.Store(most.Milliseconds())
		}
	}
	return l.clocks.slowest(wall.UnixMilli(), low, now)
}

// fastest is the time by the faster of our clock and the server's.
func (l *List) fastest() time.Time {
	wall := l.wall()
	if m, _ := l.kit.Master(); m != nil {
		if _, ahead, ok := m.ClockAhead(wall); ok && ahead > 0 {
			return wall.Add(ahead)
		}
	}
	return wall
}

// latest is the time by the faster of our clock and the server's, as it was when it
// was last looked at: it asks nobody.
func (l *List) latest() time.Time {
	return l.wall().Add(time.Duration(max(0, l.clocks.ahead.Load())) * time.Millisecond)
}

// lastLiving is the second before which what has expired can go: by the slowest
// clock, less the skew.
func (l *List) lastLiving(m kit.Master) uint32 {
	last := (l.slowest(m) - l.policy.ClockSkew.Milliseconds()) / 1000
	return uint32(max(0, min(last, math.MaxUint32)))
}

// pruneOnce tells Redis what our clock says, hears of the slowest clock of all
// processes, and lets Redis drop so many entries at most that are over by it.
func (l *List) pruneOnce(ctx context.Context, m kit.Master, most int) (dropped int64, err error) {
	v, err := l.keys.run(ctx, m.Do, l.kit.WriteTimeout(), pruneScript,
		strconv.FormatInt(int64(l.policy.ClockSkew/time.Second), 10),
		strconv.FormatInt(l.wall().Unix(), 10),
		strconv.FormatInt(l.slowest(m)/1000, 10),
		strconv.Itoa(most))
	if err != nil {
		return 0, err
	}
	answer, ok := v.([]any)
	if !ok || len(answer) != 2 {
		return 0, errReply
	}
	dropped = max(0, number(answer[0]))
	l.stats.pruned.Add(uint64(dropped))
	l.clocks.heard(time.Duration(number(answer[1])) * time.Second)
	return dropped, nil
}
