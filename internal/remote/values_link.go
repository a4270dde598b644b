package remote

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// transfers is for a connection over which keys are copied, many or large ones at a time.
var transfers = shape{ring: 4, read: 64 << 10, write: writePiece}

// DialValues is DialLink for a connection that carries values of any size that Redis
// takes. Nobody else uses it, so a large value holds up nobody.
func DialValues(ctx context.Context, c Config) (*Link, error) {
	c.MaxValue, c.shape, c.watched = maxBulk, transfers, true
	w, err := dialWire(ctx, c)
	if err != nil {
		return nil, err
	}
	w.apart = true
	return &Link{wire: w}, nil
}

// Once is Ask for commands that must not be sent twice. After an error nobody knows which
// of them were carried out, and the Link is to be closed.
func (c *Link) Once(ctx context.Context, limit time.Duration, commands ...[]string) ([]Reply, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, limit, noAnswer(limit))
	defer cancel()
	cmds := make([]rueidis.Completed, len(commands))
	for i, words := range commands {
		cmds[i] = c.wire.B().Arbitrary(words...).Build().Pin()
	}
	results := c.wire.Client.DoMulti(bounded, cmds...)
	for _, r := range results {
		if err := r.NonRedisError(); err != nil {
			if bounded.Err() != nil {
				err = ended(bounded)
			}
			return nil, wrap("ask", err)
		}
	}
	return repliesOf(results), nil
}
