package remote

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// shape is how much memory a connection takes, by what it is for. rueidis takes
// 1.3 MiB for each by default, and a client in Sentinel mode has eleven.
type shape struct {
	ring  int // 2^ring commands or pipelines can be without an answer at once; 330 bytes each
	read  int // bytes
	write int // bytes
}

var (
	// commands is for the connection that all callers share. A caller who finds the
	// ring full waits there past its deadline, so the ring is as large as rueidis'
	// own. A value that is longer than a buffer is read and written without it.
	commands = shape{ring: 10, read: 64 << 10, write: writePiece}
	// questions is for the heartbeat, the sentinels and the other nodes: a few short
	// commands at a time, with answers of a few KiB.
	questions = shape{ring: 4, read: 8 << 10, write: 4 << 10}
	// values is for one large value at a time.
	values = shape{ring: 4, read: 16 << 10, write: writePiece}
)

// shared reports whether many callers use the connection at once.
func (s shape) shared() bool { return s == commands }

// places are those of a ring, less two that rueidis needs itself. 0: not counted.
func (s shape) places() int32 {
	if s.shared() {
		return 0
	}
	return 1<<s.ring - 2
}

// places counts who is in a small ring. rueidis would let a caller who finds it full
// wait without end, and of a server that hangs nobody would hear any more.
type places struct {
	most int32
	kept atomic.Int32 // by callers who wait
	left atomic.Int32 // by callers who have gone: a place is free when its answer has come
}

// take waits for a place until ctx ends.
func (w *wire) take(ctx context.Context) error {
	for {
		if w.enter() {
			return nil
		}
		if Pause(ctx, time.Millisecond) != nil {
			return ctx.Err()
		}
	}
}

// enter is take for somebody who does not wait.
func (w *wire) enter() bool {
	if w.conn.waits(time.Now()) == 0 { // everything has been answered
		w.places.left.Store(0)
	}
	if w.places.kept.Add(1)+w.places.left.Load() <= w.places.most {
		return true
	}
	w.places.kept.Add(-1)
	return false
}

// leave gives the place back, once there is an answer.
func (w *wire) leave(ctx context.Context, err error) {
	if err != nil && errors.Is(err, ctx.Err()) {
		w.places.left.Add(1)
	}
	w.places.kept.Add(-1)
}

// ask is Do over a connection with a small ring.
func (w *wire) ask(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	if err := w.take(ctx); err != nil {
		return rueidis.NewErrorResult(err)
	}
	r := w.Client.Do(ctx, cmd)
	w.leave(ctx, r.NonRedisError())
	return r
}

// askMany is DoMulti over a connection with a small ring.
func (w *wire) askMany(ctx context.Context, cmds []rueidis.Completed) []rueidis.RedisResult {
	if err := w.take(ctx); err != nil {
		return failed(len(cmds), err)
	}
	rs := w.Client.DoMulti(ctx, cmds...)
	w.leave(ctx, rs[0].NonRedisError())
	return rs
}
