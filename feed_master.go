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
	sh.everySubscriber(func(s subscriber) { prefixes = append(prefixes, s.prefixed()) })
	return prefixes
}

// listen makes a node the feed.
func (sh *shard) listen(n *remote.Node) {
	sh.listeningMu.Lock()
	defer sh.listeningMu.Unlock()
	sh.deafen()
	on, why := n.Tracks()
	sh.feed.begun.Store(sh.clock.precise())
	sh.feed.begin(on, why)
	if !on {
		return
	}
	ctx, cancel := context.WithCancel(sh.ctx)
	sh.listening = listening{n, cancel}
	has := n.Tracked()
	sh.everySubscriber(func(s subscriber) { s.track(slices.Contains(has, s.prefixed())) })
	sh.wg.Go(func() { sh.hear(ctx, n) })
}

// trackAll lets the feed announce the classes that it does not yet: those made
// since the node was dialled, and those for which it could not be asked in time.
func (sh *shard) trackAll(n *remote.Node) {
	sh.everySubscriber(func(s subscriber) {
		if !s.tracks() {
			sh.trackOn(n, s)
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
	sh.everySubscriber(func(s subscriber) { s.track(false) })
}

// subscribe lets the feed announce a class that was made after the master was
// reached. Until it does, what the class holds is not coherent.
func (sh *shard) subscribe(class string, s subscriber) {
	sh.subscribers.Store(class, s)
	sh.listeningMu.Lock()
	n := sh.listening.node
	sh.listeningMu.Unlock()
	if n != nil {
		sh.spawn(func() { sh.trackOn(n, s) })
	}
}

func (sh *shard) trackOn(n *remote.Node, s subscriber) {
	if n.Track(sh.ctx, s.prefixed(), sh.opts.WriteTimeout) != nil {
		return
	}
	sh.listeningMu.Lock()
	defer sh.listeningMu.Unlock()
	if sh.listening.node == n {
		s.track(true)
	}
}
