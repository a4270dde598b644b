package remote

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

const (
	// slowestLink is the rate, in bytes per second, that a link is assumed to have
	// at least: what is sent gets so much time, beside its limit.
	slowestLink = 64 << 10
	// stalled is how long our own bytes may be on their way without any progress
	// until silence counts against the node again.
	stalled = time.Second
	// rateLife is how long a rate that was seen is believed.
	rateLife = 10 * time.Second
	// socketBuffer bounds what the kernel takes before it has been sent: what is in
	// there looks like progress, and is none.
	socketBuffer = 256 << 10
)

// load is what is on its way over a wire: large commands that are not answered
// yet, whether somebody still waits for them or not.
type load struct {
	watched atomic.Int32 // how many of them
	moved   atomic.Int64 // when bytes went either way meanwhile, in Unix nanoseconds
	big     atomic.Int64 // bytes of large replies so far

	mu    sync.Mutex // guards what follows
	bytes int64
	idle  time.Time // when the last was answered
	rate  int64     // bytes per second, the last that was seen
	rated time.Time
}

// begin notes bytes that are sent now and returns all that are on their way.
func (l *load) begin(bytes int64, now time.Time) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes == 0 {
		l.moved.Store(now.UnixNano())
	}
	l.watched.Add(1)
	l.bytes += bytes
	return l.bytes
}

// end notes their answer; ahead is what begin returned, answered: there was one.
func (l *load) end(bytes, ahead int64, took time.Duration, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watched.Add(-1)
	l.bytes -= bytes
	l.idle = time.Now()
	if answered {
		l.seen(ahead, took)
	}
}

// learn takes what was seen of the link on another connection.
func (l *load) learn(bytes int64, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen(bytes, took)
}

// seen is called with mu held.
func (l *load) seen(bytes int64, took time.Duration) {
	l.rate, l.rated = int64(float64(bytes)/max(took, time.Microsecond).Seconds()), time.Now()
}

// fits reports whether so many bytes are likely to be answered within left, by
// the rate that was seen lately.
func (l *load) fits(bytes int64, left time.Duration, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 || now.Sub(l.rated) > rateLife {
		return l.bytes == 0 || bytesTake(l.bytes+bytes, 16*slowestLink) <= left
	}
	return bytesTake(l.bytes+bytes, l.rate) <= left
}

// bytesTake is how long bytes take at a rate per second.
func bytesTake(bytes, rate int64) time.Duration {
	return time.Duration(float64(bytes) / float64(max(rate, 1)) * float64(time.Second))
}

// underWay is how many bytes are.
func (l *load) underWay() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// holdsUp reports whether what began at start may have waited for bytes of our
// own: they were on their way, and made progress.
func (l *load) holdsUp(start time.Time) bool {
	now := time.Now()
	if l.watched.Load() > 0 {
		return now.Sub(time.Unix(0, l.moved.Load())) < stalled
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.idle.After(start)
}

// move notes that bytes went either way.
func (l *load) move() {
	if l.watched.Load() > 0 {
		l.moved.Store(time.Now().UnixNano())
	}
}

// Sizes is what a server has taught about the size of values, beyond the
// connection on which it did: it ends that one.
type Sizes struct {
	refused atomic.Pointer[sizeAt]

	mu    sync.Mutex // guards what follows
	broke sizeAt
	times int
}

type sizeAt struct {
	size int
	at   time.Time
}

// sizeLife is how long a size stays refused: a setting can be changed.
const sizeLife = time.Minute

// breaks notes that a connection ended while a word of that size was on its way.
func (s *Sizes) breaks(size int) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.broke.at) > sizeLife {
		s.broke, s.times = sizeAt{size: size}, 0
	}
	s.times++
	s.broke.size, s.broke.at = min(s.broke.size, size), time.Now()
}

// suspects reports whether words of that size ended connections more than once:
// a server does so at its client-query-buffer-limit, without a word.
func (s *Sizes) suspects(size int) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times > 1 && size >= s.broke.size && time.Since(s.broke.at) < sizeLife
}

// refuses is the error of a word of that size, or nil.
func (s *Sizes) refuses(size int) error {
	if s == nil {
		return nil
	}
	r := s.refused.Load()
	if r == nil || size < r.size || time.Since(r.at) > sizeLife {
		return nil
	}
	return errTooLarge(size)
}

// learn looks whether an answer refuses a size (proto-max-bulk-len).
func (s *Sizes) learn(size int, err error) bool {
	re, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok || !strings.Contains(re.Error(), "invalid bulk length") {
		return false
	}
	if s != nil {
		s.refused.Store(&sizeAt{size: size, at: time.Now()})
	}
	return true
}

// errCrowded is the answer to a large command that the link could not carry in
// the time that it is given, or that ends connections: it is not sent over the one
// that all share.
var errCrowded = &Error{Kind: Crowded, Op: "send", Err: errors.New("it is too large for the shared connection: it would block other commands, or end the connection")}

// weight is the bytes of commands, and the largest word of each.
func weight(cmds []rueidis.Completed) (bytes int64, largest []int) {
	for i := range cmds {
		for _, word := range cmds[i].Commands() {
			bytes += int64(len(word))
		}
	}
	if bytes < large {
		return bytes, nil
	}
	largest = make([]int, len(cmds))
	for i := range cmds {
		for _, word := range cmds[i].Commands() {
			largest[i] = max(largest[i], len(word))
		}
	}
	return bytes, largest
}

// Do is that of rueidis, with an eye on large commands.
func (w *wire) Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	bytes := 0
	for _, word := range cmd.Commands() {
		bytes += len(word)
	}
	switch {
	case bytes < large && w.places.most == 0:
		return w.Client.Do(ctx, cmd)
	case bytes < large:
		return w.ask(ctx, cmd)
	}
	return w.heavy(ctx, []rueidis.Completed{cmd}, func() []rueidis.RedisResult {
		return []rueidis.RedisResult{w.Client.Do(context.Background(), cmd)}
	})[0]
}

// DoMulti is that of rueidis, with an eye on large commands.
func (w *wire) DoMulti(ctx context.Context, cmds ...rueidis.Completed) []rueidis.RedisResult {
	switch bytes, _ := weight(cmds); {
	case bytes < large && w.places.most == 0:
		return w.Client.DoMulti(ctx, cmds...)
	case bytes < large:
		return w.askMany(ctx, cmds)
	}
	own := slices.Clone(cmds)
	return w.heavy(ctx, own, func() []rueidis.RedisResult { return w.Client.DoMulti(context.Background(), own...) })
}

// heavy sends large commands. Who waits for them leaves with ctx; the bytes stay
// on their way, and are known to be, until they are answered or the wire ends.
func (w *wire) heavy(ctx context.Context, cmds []rueidis.Completed, send func() []rueidis.RedisResult) []rueidis.RedisResult {
	bytes, largest := weight(cmds)
	if err := w.sizes.refuses(slices.Max(largest)); err != nil && len(cmds) == 1 {
		return failed(len(cmds), err)
	}
	if refused := w.tooLarge(ctx, cmds, largest); refused != nil {
		return w.without(ctx, cmds, refused)
	}
	now := time.Now()
	if !w.apart && w.sizes.suspects(slices.Max(largest)) {
		return failed(len(cmds), errCrowded)
	}
	if end, ok := ctx.Deadline(); ok && !w.load.fits(bytes, end.Sub(now), now) {
		return failed(len(cmds), errCrowded)
	}
	ahead := w.load.begin(bytes, now)
	done := make(chan []rueidis.RedisResult, 1)
	go func() { // ends with the answers, or with the wire: see abandon
		rs := send()
		answered := true
		for i := range rs {
			answered = answered && rs[i].NonRedisError() == nil
			if w.sizes.learn(largest[i], rs[i].Error()) {
				rs[i] = rueidis.NewErrorResult(errTooLarge(largest[i]))
			}
		}
		if !answered && !w.apart && !w.abandoned.Load() {
			w.sizes.breaks(slices.Max(largest))
		}
		w.load.end(bytes, ahead, time.Since(now), answered)
		done <- rs
	}()
	select {
	case rs := <-done:
		return rs
	case <-ctx.Done():
		return failed(len(cmds), ctx.Err())
	}
}

func failed(n int, err error) []rueidis.RedisResult {
	rs := make([]rueidis.RedisResult, n)
	for i := range rs {
		rs[i] = rueidis.NewErrorResult(err)
	}
	return rs
}

// Allowance is the time that so many bytes are given beside a limit: they may
// wait for what is on its way already, on a slow link.
func (n *Node) Allowance(bytes int64, limit time.Duration) time.Duration {
	return limit + bytesTake(n.cmd.load.underWay()+bytes, slowestLink)
}

// Settle waits until no large command is on its way any more, or makes no
// progress, or ctx ends: what nobody waited for is not sent a second time beside
// itself.
func (n *Node) Settle(ctx context.Context) {
	for n.cmd.load.watched.Load() > 0 && n.cmd.load.holdsUp(time.Now()) {
		if Pause(ctx, 2*time.Millisecond) != nil {
			return
		}
	}
}

// heldUp reports whether a call that began at start may have waited for our own
// bytes. Then its time says nothing about the node.
func (n *Node) heldUp(start time.Time) bool {
	return n.cmd.load.holdsUp(start) || n.bulk.holdsUp(start) || n.out.holdsUp(start)
}

// HeldUp reports whether a heartbeat that began at start timed out and that says
// nothing about the node: it shares the link with all that is on its way, or this
// process was too busy to send it or to read its answer.
func (n *Node) HeldUp(err error, start time.Time) bool {
	return KindOf(err) == Timeout && (n.heldUp(start) || n.beatLate(err, start))
}
