package shard

import (
	"bytes"
	"context"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/remote"
)

// Held is what memory holds of a key: the value as it is in Redis, and when that ends by
// the clock of the master. Nobody else has changed the key since, as far as is announced.
type Held struct {
	End   End
	Bytes []byte // the value, or Text is
	Text  string
	Mark  Mark // of before Redis is asked
}

// MostHeld is how long a value is, at most, of which it is asked only whether it is the
// same: a longer one is better not read twice where it is not.
const MostHeld = 32 << 10

// leastLeft is how long it must live: at its end Redis is asked how long that is.
const leastLeft = time.Second

// Size is the length of the value.
func (h *Held) Size() int { return max(len(h.Bytes), len(h.Text)) }

func (h *Held) is(data []byte) bool {
	if h.Bytes != nil {
		return bytes.Equal(data, h.Bytes)
	}
	return string(data) == h.Text
}

// readHeld is Read of a key that memory holds and must not answer for. Where Redis has the
// same value, and nothing was announced of the key until it said so, the value ends when it
// was known to: that is not asked again.
func (k *Class) readHeld(ctx context.Context, full string, h *Held, limit time.Duration) Answer {
	sh := k.st.of(full)
	node := sh.Node.Load()
	if node == nil || k.most > 0 || k.st.clustered() || k.st.Waits(full) {
		return k.Read(ctx, full, nil, limit)
	}
	asked := sh.askedNow(node)
	left := leftOf(node, h.End, asked.At)
	if left < leastLeft {
		return k.Read(ctx, full, nil, limit)
	}
	data, whole, err := node.GetData(ctx, full, asked.At, limit)
	switch {
	case err != nil:
		return k.answered(node, remote.Value{}, err, asked)
	case whole && h.is(data) && k.st.Undisturbed(h.Mark):
		return Answer{Asked: asked, Found: true, Data: data, Left: left, End: h.End, Fixed: node.ScriptsForbidden(), Same: true}
	}
	ctx, limit = deadline.Remainder(ctx, limit, time.Since(asked.At))
	return k.Read(ctx, full, nil, limit)
}

// leftOf is how long it is at least until end; 0: the node's clock is not known well.
func leftOf(node *remote.Node, end End, at time.Time) time.Duration {
	blur := node.Blur()
	if blur == 0 || blur > maxEndWidth || end.To-end.From > maxEndWidth || end == (End{}) {
		return 0
	}
	_, high := node.ServerTime(at)
	return time.Duration(end.From-high) * time.Millisecond
}
