package shard

import (
	"context"
	"errors"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// Filled is what came of a fill.
type Filled = remote.Filled

var errOtherMaster = errors.New("another master has been reached meanwhile")

// SendFills is Send for up to LineBatch fills of one class and one shard that have begun.
func SendFills(ctx context.Context, fs []*Fill) []Filled {
	node, out := fs[0].node, make([]Filled, len(fs))
	sent := make([]*remote.Fill, 0, len(fs))
	for i, f := range fs {
		if f.node != node {
			out[i].Err = errOtherMaster
		} else {
			out[i].Err = f.note(ctx)
		}
		if out[i].Err == nil {
			sent = append(sent, &f.what)
		}
	}
	if len(sent) == 0 {
		return out
	}
	filled := node.FillMany(ctx, sent, fs[0].class.limit)
	for i := range out {
		if out[i].Err == nil {
			out[i], filled = filled[0], filled[1:]
		}
	}
	next := fs[0].shard.Ledger.Next()
	for _, f := range sent {
		fs[0].shard.wrote(f.Key, next)
	}
	return out
}

// HoldFills is Holds for several that were sent together.
func HoldFills(ctx context.Context, fs []*Fill, limit time.Duration) []bool {
	if fs[0].shard.Node.Load() != fs[0].node {
		return make([]bool, len(fs))
	}
	keys, values := make([]string, len(fs)), make([][]byte, len(fs))
	for i, f := range fs {
		keys[i], values[i] = f.what.Key, f.what.Data
	}
	return fs[0].node.Hold(ctx, keys, values, limit)
}
