package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// recorder asks every node and keeps what they say. It owns the goroutines that ask.
type recorder struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	lines []stamped
	took  []accepted
}

type stamped struct {
	at   time.Time
	line line
}

// line is what one line of the file is made of.
type line interface{ setTime(t float64) }

// accepted is a barrier that a node took.
type accepted struct {
	at    time.Time
	node  string
	shard string
	n     int64
}

// The periods and limits of asking.
const (
	viewPeriod, viewLimit       = 20 * time.Millisecond, 150 * time.Millisecond
	barrierPeriod, barrierLimit = 100 * time.Millisecond, 250 * time.Millisecond
	quiet                       = time.Second // what has not changed is written again after this
)

func newRecorder(ctx context.Context, nodes []node, shards []shard) *recorder {
	ctx, cancel := context.WithCancel(ctx)
	r := &recorder{cancel: cancel}
	for _, n := range nodes {
		v := &viewer{node: n, rec: r, link: link{node: n}}
		r.wg.Go(func() {
			repeat(ctx, viewPeriod, v.ask)
			v.link.close()
		})
	}
	numbers := &counter{}
	for _, s := range shards {
		for _, n := range nodes {
			if !s.has(n.name) {
				continue
			}
			b := &barrier{node: n, shard: s, rec: r, numbers: numbers, link: link{node: n}}
			r.wg.Go(func() {
				repeat(ctx, barrierPeriod, b.ask)
				b.link.close()
			})
		}
	}
	return r
}

// repeat asks at each period, or as soon as the answer before has come.
func repeat(ctx context.Context, period time.Duration, ask func(context.Context)) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			ask(ctx)
		}
	}
}

func (r *recorder) stop() {
	r.cancel()
	r.wg.Wait()
}

func (r *recorder) add(at time.Time, l line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, stamped{at, l})
}

func (r *recorder) accept(a accepted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, a)
}

// counter hands out numbers from 1.
type counter struct {
	mu sync.Mutex
	n  int64
}

func (c *counter) next() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

// link is a connection that is opened when it is needed and kept until it fails.
type link struct {
	node node
	conn *redisproc.Conn
}

// pipeline asks within limit.
func (l *link) pipeline(ctx context.Context, limit time.Duration, commands ...[]string) (replies []any, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if l.conn == nil {
		if l.conn, err = l.node.Connect(ctx); err != nil {
			return nil, err
		}
	}
	if replies, err = l.conn.Pipeline(ctx, commands...); err != nil {
		l.close()
	}
	return replies, err
}

func (l *link) close() {
	if l.conn != nil {
		_ = l.conn.Close() // it is of no more use
		l.conn = nil
	}
}

// describeError puts what went wrong in the words of the format.
func describeError(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "unreachable"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "closed"
	}
	return "error " + err.Error()
}
