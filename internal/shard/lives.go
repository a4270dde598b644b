package shard

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/remote"
)

// lives is what a class has noted at the master of a shard of how long its keys live: see
// remote.Life. A write whose life is not noted yet notes it first. The last one is
// found without a lock, since most classes have one.
type lives struct {
	last atomic.Pointer[noted]

	mu  sync.Mutex // guards all
	all map[lifeKey]*noted
}

type lifeKey struct {
	ttl   time.Duration
	touch bool
}

// noted is a life that a node has been told.
type noted struct {
	lifeKey
	node    *remote.Node
	at      *anchorsOf // in a Cluster: anchors may have come since
	flushes uint64     // of the feed: a FLUSHALL takes what was noted
	evicted uint64     // the generation of evictions: they may take it too
	until   int64      // in the client's time
	slack   int64
	blur    int64 // how well the server's clock is known, in milliseconds: a slack that is less tells nothing
}

// livesOf are those of a class at this shard.
func (sh *Shard) livesOf(k *Class) *lives {
	if l, ok := sh.lived.Load(k); ok {
		return l.(*lives)
	}
	l, _ := sh.lived.LoadOrStore(k, new(lives))
	return l.(*lives)
}

// maxNoted bounds the lives of a class that are remembered. Others are noted at each write.
const maxNoted = 64

// slackStep is the first slack that is noted, in milliseconds, and slackGrowth what
// it is multiplied with where a server's clock is less well known.
const (
	slackStep   = 2
	slackGrowth = 4
)

// slackFor is the slack to note for a clock that is known so well.
func slackFor(blur int64) int64 {
	slack := int64(slackStep)
	for slack < blur {
		slack *= slackGrowth
	}
	return slack
}

// covers reports whether a write at that time that wants w needs no other note.
func (l *noted) covers(w *noted, now int64) bool {
	return l != nil && l.lifeKey == w.lifeKey && l.node == w.node && l.at == w.at && l.flushes == w.flushes && l.evicted == w.evicted &&
		now < l.until && w.blur <= l.slack
}

// note lets Redis know that the class has keys that live for ttl. It is to be
// called before one is written.
func (k *Class) note(ctx context.Context, sh *Shard, node *remote.Node, ttl time.Duration, touch bool, limit time.Duration) error {
	return k.noteBlurred(ctx, sh, k.lifeOf(sh, node, ttl, touch), 0, limit)
}

// noteBlurred is note for what is dated by a clock that was known no better than to
// blur, in milliseconds. A slack does not shrink: what was written with it is there.
func (k *Class) noteBlurred(ctx context.Context, sh *Shard, w noted, blur int64, limit time.Duration) error {
	node, now := w.node, k.st.Clock.Now()
	w.blur = max(w.blur, blur)
	lived := sh.livesOf(k)
	if lived.last.Load().covers(&w, now) {
		return nil
	}
	lived.mu.Lock()
	l := lived.all[w.lifeKey]
	lived.mu.Unlock()
	if !l.covers(&w, now) {
		node.Sharpen(ctx)
		ctx, limit = deadline.Remainder(ctx, limit, time.Duration(k.st.Clock.Now()-now))
		life := remote.Life{Lives: k.LivesKey(), TTL: w.ttl, Slack: slackFor(max(node.Blur(), blur)), Touch: w.touch}
		if l != nil {
			life.Slack = max(life.Slack, l.slack)
		}
		longest, err := k.noteAt(ctx, w.at, node, life, limit)
		if err != nil {
			return err
		}
		k.heardLife(longest)
		w.until, w.slack = now+int64(life.Holds()), life.Slack
		l = new(w)
	}
	lived.keep(l)
	return nil
}

// noteAt notes a life where scripts of the node look for it: in a Cluster at each anchor
// that it has. One that moves meanwhile is another's to note.
func (k *Class) noteAt(ctx context.Context, at *anchorsOf, node *remote.Node, life remote.Life, limit time.Duration) (time.Duration, error) {
	if at == nil {
		return node.NoteLife(ctx, life, limit)
	}
	longest, _, err := node.NoteLives(ctx, life.AtAnchors(k.st.Config.KeyPrefix, k.Prefix, at.all), false, limit)
	return longest, err
}

// lifeOf is what a write wants to be noted.
func (k *Class) lifeOf(sh *Shard, node *remote.Node, ttl time.Duration, touch bool) noted {
	n := noted{
		lifeKey: lifeKey{ttl, touch}, node: node, blur: node.Blur(),
		flushes: sh.Feed.Flushes.Load(), evicted: sh.Evicting.Generation.Load(),
	}
	if lies := sh.slots.Load(); lies != nil {
		n.at = lies.anchors
	}
	return n
}

// noteFirst is note, and returns what it leaves of the limit.
func (k *Class) noteFirst(ctx context.Context, sh *Shard, node *remote.Node, ttl time.Duration, touch bool, limit time.Duration) (context.Context, time.Duration, error) {
	if w := k.lifeOf(sh, node, ttl, touch); sh.livesOf(k).last.Load().covers(&w, k.st.Clock.Now()) {
		return ctx, limit, nil
	}
	began := time.Now()
	err := k.note(ctx, sh, node, ttl, touch, limit)
	ctx, limit = deadline.Remainder(ctx, limit, time.Since(began))
	return ctx, limit, err
}

// heardLife takes the longest life that a node knows of. Of two that come at the same
// time the longer stays.
func (k *Class) heardLife(longest time.Duration) {
	for {
		was := k.longest.Load()
		if int64(longest) <= was || k.longest.CompareAndSwap(was, int64(longest)) {
			return
		}
	}
}

func (l *lives) keep(n *noted) {
	l.last.Store(n)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil || len(l.all) >= maxNoted {
		l.all = map[lifeKey]*noted{}
	}
	l.all[n.lifeKey] = n
}

func (k *Class) LivesKey() string { return remote.LivesKey(k.st.Config.KeyPrefix, k.Prefix) }

// brief reports whether a value that lives for ttl may have ended when another
// process puts back an older one that lives longer.
func (k *Class) brief(ttl time.Duration) bool {
	return ttl < remote.TombstoneLife && int64(ttl) < max(int64(k.ttl), k.longest.Load())
}

// trace is where a brief write is noted, "" for another.
func (k *Class) trace(full string, ttl time.Duration) string {
	if !k.brief(ttl) {
		return ""
	}
	return remote.TraceKey(k.st.Config.KeyPrefix, full)
}

// NoteLife is note for a record of the class that is put back.
func (k *Class) NoteLife(ctx context.Context, sh *Shard, node *remote.Node, ttl time.Duration, touch bool, blur int64) error {
	return k.noteBlurred(ctx, sh, k.lifeOf(sh, node, ttl, touch), blur, k.limit)
}
