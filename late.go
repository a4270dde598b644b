package evercache

import (
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// scripted is to be called before a Set is sent, and what it returns after the
// answer. One that is to be in time is a script, which is announced to us too: see
// scripts.
func (c *Client) scripted(node *remote.Node, w *write) (leave func()) {
	if !w.inTime {
		return func() {}
	}
	done := c.scripts.enter(w.rec.Key)
	return func() {
		behind := func() {
			_ = node.PingFeed(c.ctx, c.opts.ReadTimeout) // behind the announcement
			done()
		}
		if !c.spawn(behind) {
			done()
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
	c.sendAgain(r)
}

// sendAgain puts what a master has taken back into the outbox.
func (c *Client) sendAgain(r outbox.Record) {
	c.spawn(func() {
		rs := []outbox.Record{r}
		c.outbox.Return(rs, nil)
		c.journal.record(r, c) // the barrier that covers what was sent before does not vouch for it
		c.journal.dropped(c, rs)
		c.keptWrite(errUndone)
	})
}
