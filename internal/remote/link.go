package remote

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/redis/rueidis"
)

// Link is a plain connection to a node or a sentinel, for questions. It is
// dialled once; after an error of the connection it is to be closed.
type Link struct{ wire *wire }

// DialLink connects and logs in. No values are read over it: a string in a reply has
// at most 1 MiB.
func DialLink(ctx context.Context, c Config) (*Link, error) {
	c.MaxValue, c.shape = maxWord-1, questions
	w, err := dialWire(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Link{wire: w}, nil
}

// Reply is one answer of a pipeline: strings, int64 and lists of them. The text of
// Err can be shown.
type Reply struct {
	Value any
	Err   error
}

// Text is the reply as a string, "" when it is none.
func (r Reply) Text() string {
	s, _ := r.Value.(string)
	return s
}

// Ask sends commands in one pipeline. The error is that of the connection;
// error replies are in the Replies.
// A question that was not answered in time because this process was busy is asked
// once more.
func (c *Link) Ask(ctx context.Context, limit time.Duration, commands ...[]string) ([]Reply, error) {
	began := time.Now()
	replies, err := c.askOnce(ctx, limit, commands)
	if KindOf(err) == Timeout && ctx.Err() == nil && c.wire.ourTime(waited{took: time.Since(began), limit: limit}, alone) {
		replies, err = c.askOnce(ctx, limit, commands)
	}
	return replies, wrap("ask", err)
}

func (c *Link) askOnce(ctx context.Context, limit time.Duration, commands [][]string) ([]Reply, error) {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.wire.pipeline(bounded, commands)
}

// pipeline sends commands as they are, in order and with nothing between them.
func (w *wire) pipeline(ctx context.Context, commands [][]string) ([]Reply, error) {
	cmds := make([]rueidis.Completed, len(commands))
	for i, words := range commands {
		cmds[i] = w.B().Arbitrary(words...).Build().Pin()
	}
	results := w.DoMulti(ctx, cmds...)
	for _, r := range results {
		if err := r.NonRedisError(); err != nil {
			return nil, err
		}
	}
	return repliesOf(results), nil
}

// repliesOf are the answers to a pipeline; nil of none.
func repliesOf(results []rueidis.RedisResult) []Reply {
	if len(results) == 0 {
		return nil
	}
	replies := make([]Reply, len(results))
	for i, r := range results {
		replies[i].Value, replies[i].Err = r.ToAny()
		if IsNil(replies[i].Err) {
			replies[i] = Reply{}
		}
		replies[i].Err = told(replies[i].Err)
	}
	return replies
}

// Raw sends commands on the connection of all writes, in order and with nothing
// between them. Error replies are in the Replies.
func (n *Node) Raw(ctx context.Context, limit time.Duration, commands ...[]string) ([]Reply, error) {
	c, bounded, cancel := n.beginMany(ctx, "raw", len(commands), limit)
	c.limit = 0
	defer cancel()
	replies, err := n.cmd.pipeline(bounded, commands)
	return replies, c.end(ctx, err)
}

// Listen subscribes to every channel and hands on what is published until the
// connection breaks or ctx ends. ready is called when the subscription stands.
// A silent peer is noticed within about 1.5 s: the connection is pinged.
func (c *Link) Listen(ctx context.Context, ready func(), message func(channel, text string)) error {
	ctx = rueidis.WithOnSubscriptionHook(ctx, func(s rueidis.PubSubSubscription) {
		if s.Kind == "psubscribe" {
			ready()
		}
	})
	return wrap("listen", c.wire.Receive(ctx, c.wire.B().Psubscribe().Pattern("*").Build(), func(m rueidis.PubSubMessage) {
		message(m.Channel, m.Message)
	}))
}

// Received is how many bytes have come since the dial; 0 for nil.
func (c *Link) Received() int64 {
	if c == nil {
		return 0
	}
	return c.wire.conn.received.Load()
}

// At is where the server was reached, as an address with its port.
func (c *Link) At() string { return c.wire.at() }

// CertificateEnds is when the certificate ends that the server has shown; zero: it has
// shown none.
func (c *Link) CertificateEnds() time.Time {
	secured, ok := c.wire.conn.Conn.(*tls.Conn)
	if !ok {
		return time.Time{}
	}
	if shown := secured.ConnectionState().PeerCertificates; len(shown) > 0 {
		return shown[0].NotAfter
	}
	return time.Time{}
}

// Close gives the connection up at once.
func (c *Link) Close() { c.wire.abandon() }
