package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/censor"
)

// ErrOtherNode means that another Cluster node answers than the one that was dialled:
// its address has become another's.
var ErrOtherNode = errors.New("another Cluster node answers there")

// isExpected asks a Cluster node who it is, on both connections and before anything
// else. An address tells nothing: one of another Cluster may have come to it, and would
// take every write.
func (n *Node) isExpected(ctx context.Context) error {
	if n.ID == "" {
		return nil
	}
	for _, w := range []*wire{n.beat, n.cmd} {
		id, err := clusterID(ctx, w)
		switch {
		case err != nil:
			return wrap("ask for the node id", err)
		case id != n.ID:
			return &Error{Kind: Other, Op: "ask for the node id", Err: fmt.Errorf("%w: %s, not %.40q", ErrOtherNode, censor.Quote(id, 40), n.ID)}
		}
	}
	return nil
}

// clusterID is the id of the node at the other end. CLUSTER NODES tells it where
// CLUSTER MYID may not be asked.
func clusterID(ctx context.Context, w *wire) (string, error) {
	id, err := w.Do(ctx, w.B().ClusterMyid().Build()).ToString()
	if k := KindOf(err); k != NoPerm && !k.Puzzling() {
		return id, err
	}
	text, err := w.Do(ctx, w.B().ClusterNodes().Build()).ToString()
	for line := range strings.Lines(strings.TrimPrefix(text, "txt:")) {
		if f := strings.Fields(line); len(f) > 2 && strings.Contains(f[2], "myself") {
			return f[0], nil
		}
	}
	return "", err
}

// ReplyIn is the text of the error reply that err holds, as the server sent it but for
// an ERR at its beginning; "": it holds none. It is not fit to be shown.
func ReplyIn(err error) string {
	if re, ok := errors.AsType[*rueidis.RedisError](err); ok {
		return strings.TrimPrefix(re.Error(), "ERR ")
	}
	return ""
}
