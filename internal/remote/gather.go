package remote

import (
	"cmp"
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// Many callers at once share what a call costs. While few calls are under way each
// goes its own way, at once. Beyond that callers gather, and go together in one pipeline
// as soon as one that is under way has been answered: one write to the connection, one
// place in the ring and one wake-up for all of them. Whoever waits leaves with his own
// context; the others do not notice.
//
// The order of two writes of one key stays that of their callers, each of whom sends
// when the one before has been answered or has left. Who leaves before his command is
// in the ring takes it with him; see leave.

const (
	// leastAlone calls may be under way, each by itself, where the answers come quickly.
	leastAlone = 4
	// leastAtOnce pipelines may be under way there once callers go together: the fewer,
	// the more go with each.
	leastAtOnce = 2
	// mostAtOnce may be on a long line, where a place is not free again so soon.
	mostAtOnce = 64
	// spacing is the time between two pipelines that are under way on a long line.
	spacing = 150 * time.Microsecond
	// overdue is how long nobody who waits goes before they go all the same: the line has
	// become longer, or the server stalls.
	overdue = time.Millisecond
	// mostGathered bounds the callers that go together: they are all answered when the
	// last of them is. gatheredBytes bounds what is sent for them, and is expected back.
	mostGathered  = 64
	gatheredBytes = large
	// leastGathered go together whatever they ask for.
	leastGathered = 8
	// rounds is how many pipelines the quickest is looked for among.
	rounds = 64
	// longTurn is how long a goroutine waits for its turn where none is waited for.
	longTurn = 200 * time.Microsecond
	// yieldAgain is when that is tried again.
	yieldAgain = 50 * time.Millisecond
)

// gathering is the callers of a connection that wait for each other.
type gathering struct {
	mu          sync.Mutex // guards what follows, and what waiting says of it
	first, last *waiting
	underWay    int           // calls and pipelines that were sent and not answered
	pipelines   int           // of these
	atOnce      int           // how many there may be on a long line; see room
	most        int           // how many callers may go together; 0: mostGathered
	quickest    time.Duration // of the pipelines since
	since       int
	yields      time.Time // not before that: goroutines wait long for their turn

	taken     uint64 // pipelines so far
	timer     *time.Timer
	timed     bool   // it runs
	takenThen uint64 // pipelines when it began
}

// waiting is a caller with one command or two.
type waiting struct {
	cmds     [2]rueidis.Completed
	answers  [2]rueidis.RedisResult
	n, bytes int
	until    time.Time     // he has left then, whether he knows it or not; zero: never
	answered chan struct{} // is told once

	prev, next *waiting // guarded by gathering.mu
	goes       *joint   // with which pipeline; nil: with none yet. Guarded by gathering.mu
}

// waitings are used again by those who were answered.
var waitings = sync.Pool{New: func() any { return &waiting{answered: make(chan struct{}, 1)} }}

// done gives w back. It must have been answered, or not sent.
func (w *waiting) done() {
	w.cmds, w.answers, w.goes = [2]rueidis.Completed{}, [2]rueidis.RedisResult{}, nil
	waitings.Put(w)
}

// joint is callers who go in one pipeline. It is the context of that, too: nothing
// ends it but the connection, and it is asked for its end when the pipeline is in the
// ring of rueidis (TestThePipelineIsInTheRingWhenItsEndIsAskedFor).
type joint struct {
	context.Context
	*luggage
	inRing chan struct{} // closed once nothing can overtake it any more
	once   sync.Once
}

// luggage is what a pipeline carries. It is used again when all of it has been answered.
type luggage struct {
	callers []*waiting
	cmds    []rueidis.Completed
}

var luggages = sync.Pool{New: func() any { return new(luggage) }}

// empty gives it back.
func (l *luggage) empty() {
	clear(l.callers)
	clear(l.cmds)
	l.callers, l.cmds = l.callers[:0], l.cmds[:0]
	luggages.Put(l)
}

func (t *joint) Done() <-chan struct{} {
	t.once.Do(func() { close(t.inRing) })
	return nil
}

// shared is Do for the commands of callers: it may go together with others.
func (w *wire) shared(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	bytes := weightOf(cmd)
	if bytes >= large || w.places.most != 0 {
		return w.Do(ctx, cmd)
	}
	if w.gathering.alone() {
		defer w.answered()
		return w.Client.Do(ctx, cmd)
	}
	one := waitings.Get().(*waiting)
	one.cmds[0], one.n, one.bytes = cmd, 1, bytes
	if err := w.wait(ctx, one); err != nil {
		return rueidis.NewErrorResult(err)
	}
	answer := one.answers[0]
	one.done()
	return answer
}

// sharedPair is shared for two commands.
func (w *wire) sharedPair(ctx context.Context, a, b rueidis.Completed) (of, and rueidis.RedisResult) {
	bytes := weightOf(a) + weightOf(b)
	if bytes >= large || w.places.most != 0 {
		rs := w.DoMulti(ctx, a, b)
		return rs[0], rs[1]
	}
	if w.gathering.alone() {
		defer w.answered()
		rs := w.Client.DoMulti(ctx, a, b)
		return rs[0], rs[1]
	}
	one := waitings.Get().(*waiting)
	one.cmds, one.n, one.bytes = [2]rueidis.Completed{a, b}, 2, bytes
	if err := w.wait(ctx, one); err != nil {
		return rueidis.NewErrorResult(err), rueidis.NewErrorResult(err)
	}
	of, and = one.answers[0], one.answers[1]
	one.done()
	return of, and
}

func weightOf(cmd rueidis.Completed) (bytes int) {
	for _, word := range cmd.Commands() {
		bytes += len(word)
	}
	return bytes
}

// alone reports whether a call may go by itself, now. Then answered is to be called
// after it.
func (g *gathering) alone() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.underWay >= g.room() {
		return false
	}
	g.underWay++
	return true
}

// room is how many calls and pipelines there may be.
func (g *gathering) room() int {
	if g.pipelines > 0 {
		return max(g.atOnce, leastAtOnce)
	}
	return max(g.atOnce, leastAlone)
}

// crowded reports whether callers wait for each other now.
func (g *gathering) crowded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.underWay >= g.room()
}

// answered gives the place of a call, which has been answered or left, to those who wait,
// unless enough pipelines are there for them.
func (w *wire) answered() {
	g := &w.gathering
	g.mu.Lock()
	defer g.mu.Unlock()
	g.underWay--
	if g.first != nil && g.underWay < g.room() {
		w.begin()
	}
}

// begin lets those who wait go. It is called with mu held.
func (w *wire) begin() {
	w.gathering.underWay++
	w.gathering.pipelines++
	go w.carry() // ends when nobody waits
}

// wait waits for the answers. After an error there are none, and one must not be used
// any more.
func (w *wire) wait(ctx context.Context, one *waiting) error {
	g := &w.gathering
	one.until, _ = ctx.Deadline()
	g.mu.Lock()
	if g.underWay == 0 { // the last place has become free meanwhile
		w.begin()
	}
	g.append(one)
	w.watch()
	g.mu.Unlock()
	select {
	case <-one.answered:
		return nil
	case <-ctx.Done():
	}
	return g.leave(ctx, one)
}

// watch sees to it that those who wait go in time. It is called with mu held.
func (w *wire) watch() {
	g := &w.gathering
	switch {
	case g.timed:
		return
	case g.timer == nil:
		g.timer = time.AfterFunc(overdue, w.overdue)
	default:
		g.timer.Reset(overdue)
	}
	g.timed, g.takenThen = true, g.taken
}

// overdue lets those go who have waited all that time.
func (w *wire) overdue() {
	g := &w.gathering
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timed = false; g.first == nil {
		return
	}
	if g.taken == g.takenThen && g.underWay < mostAtOnce {
		w.begin()
	}
	w.watch()
}

// leave takes the commands out that have not been sent. What goes already must be in the
// ring before its caller leaves: he may write the key again, and what he sends then must
// not be executed first.
func (g *gathering) leave(ctx context.Context, one *waiting) error {
	g.mu.Lock()
	goes := one.goes
	if goes == nil {
		g.remove(one)
	}
	g.mu.Unlock()
	if goes == nil {
		return ctx.Err()
	}
	select {
	case <-one.answered:
		return nil
	case <-goes.inRing:
		return ctx.Err()
	}
}

// carry sends pipelines as long as somebody waits for one, and then gives its place up.
func (w *wire) carry() {
	g := &w.gathering
	for {
		began := g.yield()
		t := g.take(began)
		if t == nil {
			return
		}
		before, callers := w.conn.received.Load(), len(t.callers)
		w.sendJoint(t)
		g.learn(time.Since(began), w.conn.received.Load()-before, callers)
	}
}

func (w *wire) sendJoint(t *joint) {
	for _, one := range t.callers {
		t.cmds = append(t.cmds, one.cmds[:one.n]...)
	}
	answers := w.Client.DoMulti(t, t.cmds...)
	broken, at := false, 0
	for _, one := range t.callers {
		broken = broken || answers[at].NonRedisError() != nil
		at += copy(one.answers[:one.n], answers[at:])
		one.answered <- struct{}{}
	}
	if !broken { // else rueidis may be at it still
		t.empty()
	}
}

// yield lets those go first who are about to call: they go together with the others. On
// a machine that is busy otherwise that would take long. It returns the time after that.
func (g *gathering) yield() time.Time {
	now := time.Now()
	g.mu.Lock()
	yields := now.After(g.yields)
	g.mu.Unlock()
	if !yields {
		return now
	}
	runtime.Gosched()
	then := time.Now()
	if then.Sub(now) > longTurn {
		g.mu.Lock()
		g.yields = then.Add(yieldAgain)
		g.mu.Unlock()
	}
	return then
}

// take is those who go now; nil: nobody waits, and the place is given up. Whose time is
// over is left out: this process may have been stopped, and his timer is still to ring.
func (g *gathering) take(now time.Time) *joint {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == nil {
		g.end()
		return nil
	}
	t := &joint{Context: context.Background(), luggage: luggages.Get().(*luggage), inRing: make(chan struct{})}
	most, bytes := cmp.Or(g.most, mostGathered), 0
	for one := g.first; one != nil && len(t.callers) < most; {
		next := one.next
		if !one.until.IsZero() && !now.Before(one.until) {
			one = next
			continue
		}
		if bytes += one.bytes; bytes > gatheredBytes && len(t.callers) > 0 {
			break
		}
		g.remove(one)
		one.goes = t
		t.callers = append(t.callers, one)
		one = next
	}
	if len(t.callers) == 0 {
		t.empty()
		g.end()
		return nil
	}
	g.taken++
	return t
}

// end gives the place of a pipeline up. It is called with mu held.
func (g *gathering) end() {
	g.underWay--
	g.pipelines--
}

// learn takes what was seen of a pipeline: how long it took, and what came back for so
// many callers.
func (g *gathering) learn(took time.Duration, bytes int64, callers int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	each := max(1, int(bytes)/callers)
	g.most = min(max(gatheredBytes*4/each, leastGathered), mostGathered)
	if g.since == 0 || took < g.quickest {
		g.quickest = took
	}
	if g.since++; g.since == rounds {
		g.atOnce = atOnceOf(g.quickest)
		g.since = 0
	}
}

// atOnceOf is how many may be under way where the quickest takes so long.
func atOnceOf(quickest time.Duration) int {
	return int(min(max(quickest/spacing, leastAtOnce), mostAtOnce))
}

// append and remove are called with mu held.
func (g *gathering) append(one *waiting) {
	one.prev, one.next = g.last, nil
	if g.last == nil {
		g.first = one
	} else {
		g.last.next = one
	}
	g.last = one
}

func (g *gathering) remove(one *waiting) {
	if one.prev == nil {
		g.first = one.next
	} else {
		one.prev.next = one.next
	}
	if one.next == nil {
		g.last = one.prev
	} else {
		one.next.prev = one.prev
	}
	one.prev, one.next = nil, nil
}
