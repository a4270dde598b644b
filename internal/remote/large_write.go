package remote

import (
	"context"
	"time"
)

// LargeWrite is the size from which a value is put back by itself, over a
// connection that nothing else needs.
const LargeWrite = 128 << 10

// ReplayLarge is Replay of one large value, over a connection of its own: on a
// slow link other calls do not wait behind it, and where it ends the connection
// they are not harmed. The caller sees to it that nothing else of its key is on
// its way here; what was sent before over the other connection is executed first.
func (n *Node) ReplayLarge(ctx context.Context, r Replay, limit time.Duration) (Outcome, error) {
	if err := n.PingFeed(ctx, limit); err != nil {
		return Outcome{Err: err}, err
	}
	w, _, err := n.out.connected()
	if err != nil { // no room for one more connection, or the ACL wants it otherwise
		os, err := n.Replay(ctx, []Replay{r}, limit)
		return os[0], err
	}
	c, bounded, cancel := n.begin(ctx, "replay", limit)
	defer cancel()
	o := n.runOver(bounded, w, []step{r.step()})[0].outcome()
	o.Err = n.tell(o.Err, r.subject())
	took, k := time.Since(c.start), KindOf(o.Err)
	n.obs.Command(c.name, took, k)
	c.told.end(took, k, o.Err, o.Err)
	switch {
	case k == OK:
		n.cmd.load.learn(int64(len(r.Data)), took)
	case k == Timeout || k == Conn || k == Canceled:
		n.out.drop()
		o.Err = &Error{Kind: k, Op: c.name, Err: o.Err}
	}
	return o, o.Err
}
