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
func (c *Client) tracked() []string {
	prefixes := []string{remote.TombstonePrefix(c.opts.KeyPrefix), remote.MarksKey(c.opts.KeyPrefix, "")}
	c.everySubscriber(func(s subscriber) { prefixes = append(prefixes, s.prefixed()) })
	return prefixes
}

// listen makes a node the feed.
func (c *Client) listen(n *remote.Node) {
	c.listeningMu.Lock()
	defer c.listeningMu.Unlock()
	c.deafen()
	on, why := n.Tracks()
	c.feed.begun.Store(c.clock.precise())
	c.feed.begin(on, why)
	if !on {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	c.listening = listening{n, cancel}
	has := n.Tracked()
	c.everySubscriber(func(s subscriber) { s.track(slices.Contains(has, s.prefixed())) })
	c.wg.Go(func() { c.hear(ctx, n) })
}

// trackAll lets the feed announce the classes that it does not yet: those made
// since the node was dialled, and those for which it could not be asked in time.
func (c *Client) trackAll(n *remote.Node) {
	c.everySubscriber(func(s subscriber) {
		if !s.tracks() {
			c.trackOn(n, s)
		}
	})
}

// unlisten says that there is no feed.
func (c *Client) unlisten() {
	c.listeningMu.Lock()
	defer c.listeningMu.Unlock()
	c.deafen()
	c.feed.end()
}

// deafen ends what the last node began; the caller holds listeningMu.
func (c *Client) deafen() {
	if c.listening.end != nil {
		c.listening.end()
	}
	c.listening = listening{}
	c.everySubscriber(func(s subscriber) { s.track(false) })
}

// subscribe lets the feed announce a class that was made after the master was
// reached. Until it does, what the class holds is not coherent.
func (c *Client) subscribe(class string, s subscriber) {
	c.subscribers.Store(class, s)
	c.listeningMu.Lock()
	n := c.listening.node
	c.listeningMu.Unlock()
	if n != nil {
		c.spawn(func() { c.trackOn(n, s) })
	}
}

func (c *Client) trackOn(n *remote.Node, s subscriber) {
	if n.Track(c.ctx, s.prefixed(), c.opts.WriteTimeout) != nil {
		return
	}
	c.listeningMu.Lock()
	defer c.listeningMu.Unlock()
	if c.listening.node == n {
		s.track(true)
	}
}
