package evercache

import (
	"context"
	"slices"

	"github.com/evercache/evercache/internal/remote"
)

// listening is the node that is the feed.
type listening struct {
	node *remote.Node
	end  context.CancelFunc // of its hear; nil: none
}

// tracked are the prefixes that a node which is dialled now announces.
func (sh *shard) tracked() []string {
	prefixes := []string{remote.TombstonePrefix(sh.opts.KeyPrefix), remote.MarksKey(sh.opts.KeyPrefix, "")}
	sh.everyClass(func(k *class) { prefixes = append(prefixes, k.prefix) })
	return prefixes
}

// listen makes a node the feed.
func (sh *shard) listen(n *remote.Node) {
	sh.listeningMu.Lock()
	defer sh.listeningMu.Unlock()
	sh.deafen()
	on, why := n.Tracks()
	sh.feed.begun.Store(sh.clock.Now())
	sh.feed.begin(on, why)
	if !on {
		return
	}
	ctx, cancel := context.WithCancel(sh.ctx)
	sh.listening = listening{n, cancel}
	has := n.Tracked()
	sh.everyClass(func(k *class) { k.tracked.Store(slices.Contains(has, k.prefix)) })
	sh.wg.Go(func() { sh.hear(ctx, n) })
}

// trackAll lets the feed announce the classes that it does not yet: those made
// since the node was dialled, and those for which it could not be asked in time.
func (sh *shard) trackAll(n *remote.Node) {
	sh.everyClass(func(k *class) {
		if !k.tracked.Load() {
			sh.trackOn(n, k)
		}
	})
}

// unlisten says that there is no feed.
func (sh *shard) unlisten() {
	sh.listeningMu.Lock()
	defer sh.listeningMu.Unlock()
	sh.deafen()
	sh.feed.end()
}

// deafen ends what the last node began; the caller holds listeningMu.
func (sh *shard) deafen() {
	if sh.listening.end != nil {
		sh.listening.end()
	}
	sh.listening = listening{}
	sh.everyClass(func(k *class) { k.tracked.Store(false) })
}

// subscribe lets the feed announce a class that was made after the master was
// reached. Until it does, what the class holds is not coherent.
func (sh *shard) subscribe(name string, k *class) {
	sh.classes.Store(name, k)
	sh.listeningMu.Lock()
	n := sh.listening.node
	sh.listeningMu.Unlock()
	if n != nil {
		sh.spawn(func() { sh.trackOn(n, k) })
	}
}

func (sh *shard) trackOn(n *remote.Node, k *class) {
	if n.Track(sh.ctx, k.prefix, sh.opts.WriteTimeout) != nil {
		return
	}
	sh.listeningMu.Lock()
	defer sh.listeningMu.Unlock()
	if sh.listening.node == n {
		k.tracked.Store(true)
	}
}
