package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// span is how many bytes of a value are read over the connection that all share.
// A larger value is read over a connection of its own: a server that closes that
// one (client-output-buffer-limit), or a link that is slow, harms nobody else.
const span = 64 << 10

// bulk is the connection for large values. One is read at a time, so that they
// have a bound together. It is made when it is needed first.
type bulk struct {
	node     *Node
	config   Config
	ctx      context.Context
	cancel   context.CancelFunc
	turn     chan struct{} // who reads holds it until the answer is there
	underWay atomic.Int32

	mu     sync.Mutex // guards what follows
	wire   *wire
	broken refusedBulk
}

// refusedBulk is the smallest size whose transfer ended the connection lately.
type refusedBulk struct {
	size int64
	at   time.Time
}

func newBulk(n *Node, c Config) *bulk {
	b := &bulk{node: n, config: c, turn: make(chan struct{}, 1)}
	b.config.Track, b.config.At, b.config.shape = nil, n.at, values
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// abandon ends what is under way.
func (b *bulk) abandon() {
	b.cancel()
	b.drop()
}

func (b *bulk) drop() {
	b.mu.Lock()
	w := b.wire
	b.wire = nil
	b.mu.Unlock()
	if w != nil {
		w.abandon()
	}
}

func (b *bulk) holdsUp(start time.Time) bool {
	b.mu.Lock()
	w := b.wire
	b.mu.Unlock()
	return w != nil && w.load.holdsUp(start)
}

// get reads a large value. The caller leaves with ctx; the transfer goes on, and
// the next one waits for it.
func (b *bulk) get(ctx context.Context, key string, asking bool) (Value, error) {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return Value{}, wrap("wait for another large value", ctx.Err())
	case <-b.ctx.Done():
		return Value{}, wrap("get", rueidis.ErrClosing)
	}
	type result struct {
		v   Value
		err error
	}
	done := make(chan result, 1)
	go func() { // ends within its own limits, or with the node
		defer func() { <-b.turn }()
		v, err := b.transfer(key, asking)
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return Value{}, wrap("get a large value", ctx.Err())
	}
}

// transfer asks for the size first: what broke the connection before is not
// asked for again.
func (b *bulk) transfer(key string, asking bool) (Value, error) {
	w, size, err := b.size(key, asking)
	if err != nil {
		return Value{}, wrap("get a large value", err)
	}
	if err := b.refuses(size); err != nil {
		return Value{}, err
	}
	if size > b.config.maxValue() {
		return Value{}, b.node.tooLong(size, b.config.maxValue())
	}
	ctx, cancel := context.WithTimeout(b.ctx, 2*stalled+bytesTake(size, slowestLink))
	defer cancel()
	b.underWay.Add(1)
	defer b.underWay.Add(-1)
	now := time.Now()
	ahead := w.load.begin(size, now)
	v, err := b.read(ctx, w, key, asking)
	k := KindOf(err)
	w.load.end(size, ahead, time.Since(now), !k.Outage())
	if k.Outage() && !k.Unserved() || k == Canceled {
		b.drop()
	}
	if k == Conn && b.ctx.Err() == nil {
		b.mu.Lock()
		b.broken = refusedBulk{size: size, at: time.Now()}
		b.mu.Unlock()
		return Value{}, &Error{Kind: Other, Op: "get a large value", Err: fmt.Errorf("the connection ended at a value of %d bytes, see client-output-buffer-limit: %w", size, err)}
	}
	if k == OK || k == Nil {
		return v, err
	}
	return v, wrap("get a large value", err)
}

// read asks for no more than may be read, and for a byte to tell whether there is
// more: the value can have grown since its size was asked for.
func (b *bulk) read(ctx context.Context, w *wire, key string, asking bool) (Value, error) {
	most := b.config.maxValue()
	pttl := func() rueidis.Completed { return w.B().Pttl().Key(key).Build() }
	r := b.send(ctx, w, asking, w.B().Getrange().Key(key).Start(0).End(most).Build(), pttl())
	if rangesForbidden(r[0].Error()) { // then the guard ends the connection at a longer one
		r = b.send(ctx, w, asking, w.B().Get().Key(key).Build(), pttl())
	}
	v, err := value(r[0], r[1])
	if err == nil && int64(len(v.Data)) > most {
		return Value{}, b.node.tooLong(int64(len(v.Data)), most)
	}
	return v, err
}

func (b *bulk) send(ctx context.Context, w *wire, asking bool, cmds ...rueidis.Completed) []rueidis.RedisResult {
	if asking {
		return w.send(ctx, true, cmds...)
	}
	return w.Client.DoMulti(ctx, cmds...)
}

// tooLong notes that a value was not read for its size.
func (n *Node) tooLong(size, most int64) error {
	err := &Error{Kind: Oversize, Op: "get a large value", Err: fmt.Errorf("a value has %d bytes, at most %d are read", size, most)}
	n.oversize.Store(&forbidden{err, time.Now()})
	return err
}

// Oversize is why a value was not read in the last hour for its size, or nil.
func (n *Node) Oversize() error {
	if f := n.oversize.Load(); f != nil && time.Since(f.at) < time.Hour {
		return f.err
	}
	return nil
}

// refuses is the error of a size that broke the connection lately, or nil.
func (b *bulk) refuses(size int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken.size == 0 || size < b.broken.size || time.Since(b.broken.at) > sizeLife {
		return nil
	}
	return &Error{Kind: Other, Op: "get a large value", Err: fmt.Errorf("a value of %d bytes ended the connection lately, see client-output-buffer-limit", b.broken.size)}
}

// size asks for the size of the value, over a connection that is made anew when
// the old one has ended meanwhile.
func (b *bulk) size(key string, asking bool) (*wire, int64, error) {
	for again := true; ; again = false {
		w, fresh, err := b.connected()
		if err != nil {
			return nil, 0, err
		}
		ctx, cancel := context.WithTimeout(b.ctx, stalled)
		size, err := b.send(ctx, w, asking, w.B().Strlen().Key(key).Build())[0].AsInt64()
		cancel()
		k := KindOf(err)
		if k.Outage() && !k.Refused() && !k.Unserved() || k == Canceled {
			b.drop()
			if again && !fresh {
				continue
			}
		}
		if k == NoPerm || k == Lacks { // it may not be asked
			size, err = span, nil
		}
		return w, size, err
	}
}

func (b *bulk) connected() (w *wire, fresh bool, _ error) {
	b.mu.Lock()
	w = b.wire
	b.mu.Unlock()
	if w != nil {
		return w, false, nil
	}
	w, err := dialWire(b.ctx, b.config)
	if err != nil {
		return nil, false, err
	}
	w.apart = true
	if err := b.verify(w); err != nil {
		w.abandon()
		return nil, false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		w.abandon()
		return nil, false, b.ctx.Err()
	}
	b.wire = w
	return w, true, nil
}

// errElsewhere means that the address leads to another server than before.
var errElsewhere = errors.New("the address leads to another server than the commands go to")

// verify asks whether it is the server that the commands go to: see look.
func (b *bulk) verify(w *wire) error {
	ctx, cancel := context.WithTimeout(b.ctx, b.node.heartbeat.Timeout)
	defer cancel()
	if role, err := roleOf(w.Client.Do(ctx, w.B().Role().Build())); err == nil && role != "master" {
		return errElsewhere
	}
	seen, _, err := b.node.look(ctx, w)
	if err == nil && seen == apart {
		return errElsewhere
	}
	return err
}
