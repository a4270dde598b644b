package evercache

import (
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// largeSet is to be called before a Set is sent, and what it returns after the
// answer. A large value is written by a script, which is announced to us too: see
// scripts.
func (c *Client) largeSet(node *remote.Node, w *write) (leave func()) {
	if len(w.rec.Value) < remote.ByScript {
		return func() {}
	}
	leave = c.scripts.enter(w.rec.Key)
	return func() {
		behind := func() {
			_ = node.PingFeed(c.ctx, c.opts.ReadTimeout) // behind the announcement
			leave()
		}
		if !c.spawn(behind) {
			leave()
		}
	}
}

// noticed is called when another process has found that a write of its own was
// executed late: what this one has written since may be undone. It is put back,
// where it is newer than what is there.
func (c *Client) noticed(key string) {
	r, ok := c.ledger.Recall(key)
	if !ok {
		return
	}
	c.spawn(func() {
		rs := []outbox.Record{r}
		c.outbox.Return(rs, nil)
		c.journal.record(r, c) // the barrier that covers what was sent before does not vouch for it
		c.journal.dropped(c, rs)
		c.keptWrite(errUndone)
	})
}
