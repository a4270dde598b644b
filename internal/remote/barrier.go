package remote

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Barrier is what came back of a numbered write that waited for replicas.
type Barrier struct {
	N     uint64
	Acked int    // what WAIT said
	Wrote string // INFO replication right after the write
	Info  string // INFO replication after the wait
}

// barrierWait bounds the WAIT of a barrier on the server.
const barrierWait = 50 * time.Millisecond

// Barrier is the heartbeat in Sentinel mode: it writes the heartbeat key with a
// rising number and waits, on the heartbeat's own connection, for that many
// replicas. What survives of the master's writes is a prefix of them, so the
// number that a later master holds tells which of ours it has. One caller at a
// time.
func (n *Node) Barrier(ctx context.Context, replicas int) (Barrier, error) {
	n.beats++
	b, start := Barrier{N: n.beats}, time.Now()
	bounded, cancel := context.WithTimeout(ctx, n.heartbeat.Timeout)
	defer cancel()
	// WAIT is sent as an arbitrary command: rueidis would move its own to
	// another connection, where it waits for nothing.
	r := n.beat.DoMulti(bounded,
		n.beat.B().Set().Key(n.heartbeat.Key).Value(fmt.Sprint(n.beats)).Px(n.heartbeat.TTL).Build(),
		n.beat.B().Info().Section("replication").Build(),
		n.beat.B().Arbitrary("WAIT", strconv.Itoa(replicas), strconv.FormatInt(barrierWait.Milliseconds(), 10)).Build(),
		n.beat.B().Info().Section("replication").Build())
	err := r[0].Error()
	acked, ackErr := r[2].AsInt64()
	b.Acked = int(acked)
	b.Wrote, _ = r[1].ToString()
	b.Info, _ = r[3].ToString()
	if err == nil {
		err = ackErr
	}
	k := KindOf(err)
	n.obs.Command("heartbeat", time.Since(start), k)
	switch {
	case k == OK:
		n.refused.Store(nil)
	case k.Refused():
		n.refused.Store(&k)
	case k == Conn: // both connections go together
		n.judge(k, 0, 0, wrap("heartbeat", err))
	}
	return b, wrap("heartbeat", err)
}
