package shard

import (
	"context"
	"slices"

	"github.com/evercache/evercache/internal/remote"
)

// listening is the node that is the feed.
type listening struct {
	node *remote.Node
	End  context.CancelFunc // of its hear; nil: none
}

// tracked are the prefixes that a node which is dialled now announces.
func (st *Store) tracked() []string {
	prefixes := []string{remote.TombstonePrefix(st.Config.KeyPrefix), remote.MarksKey(st.Config.KeyPrefix, "")}
	st.everyClass(func(k *Class) { prefixes = append(prefixes, k.Prefix) })
	return prefixes
}

// listen makes a node the feed.
func (sh *Shard) listen(n *remote.Node) {
	sh.listeningMu.Lock()
	defer sh.listeningMu.Unlock()
	sh.deafen()
	on, why := n.Tracks()
	sh.Feed.Begun.Store(sh.Clock.Now())
	sh.Feed.Begin(on, why)
	if !on {
		return
	}
	ctx, cancel := context.WithCancel(sh.Ctx)
	sh.Listening = listening{n, cancel}
	has := n.Tracked()
	sh.everyClass(func(k *Class) { sh.hears.set(k, slices.Contains(has, k.Prefix)) })
	sh.wg.Go(func() { sh.Hear(ctx, n) })
}

// trackAll lets the feed announce the classes that it does not yet: those made
// since the node was dialled, and those for which it could not be asked in time.
func (sh *Shard) trackAll(n *remote.Node) {
	sh.everyClass(func(k *Class) {
		if !sh.hears.class(k) {
			sh.trackOn(n, k)
		}
	})
}

// Unhear says that a class is not announced yet: it is tried again.
func (sh *Shard) Unhear(k *Class) { sh.hears.set(k, false) }

// Unlisten says that there is no feed.
func (sh *Shard) Unlisten() {
	sh.listeningMu.Lock()
	defer sh.listeningMu.Unlock()
	sh.deafen()
	sh.Feed.end()
}

// deafen ends what the last node began; the caller holds listeningMu.
func (sh *Shard) deafen() {
	if sh.Listening.End != nil {
		sh.Listening.End()
	}
	sh.Listening = listening{}
	sh.hears.clear()
}

// Subscribe lets the feed announce a class that was made after the master was
// reached. Until it does, what the class holds is not coherent.
func (st *Store) Subscribe(name string, k *Class) {
	st.classes.Store(name, k)
	for _, sh := range st.shards() {
		sh.subscribe(k)
	}
}

func (sh *Shard) subscribe(k *Class) {
	sh.listeningMu.Lock()
	n := sh.Listening.node
	sh.listeningMu.Unlock()
	if n != nil {
		sh.Spawn(func() { sh.trackOn(n, k) })
	}
}

func (sh *Shard) trackOn(n *remote.Node, k *Class) {
	if n.Track(sh.Ctx, k.Prefix, sh.Config.WriteTimeout) != nil {
		return
	}
	sh.listeningMu.Lock()
	defer sh.listeningMu.Unlock()
	if sh.Listening.node == n {
		sh.beginCopies() // what changed before was not announced
		sh.hears.set(k, true)
	}
}
