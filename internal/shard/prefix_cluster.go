package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// prefixPart is what one shard of a Cluster does of a delete of a prefix.
type prefixPart struct {
	shard      *Shard
	node       *remote.Node
	lies       *slotsOf
	generation uint32
}

var errMoving = errors.New("slots of the Cluster move: keys could be missed")

// beginEverywhere is BeginDelete on all shards of a Cluster.
func (k *Class) beginEverywhere(prefix string) (PrefixDelete, error) {
	d := PrefixDelete{class: k, rest: prefix, what: k.prefixNow(prefix)}
	if !k.st.complete.Load() {
		return d, k.st.AwayCause()
	}
	for _, sh := range k.st.shards() {
		p := prefixPart{sh, sh.Node.Load(), sh.slots.Load(), sh.Ledger.Generation()}
		switch {
		case p.node == nil:
			return d, k.st.AwayCause()
		case p.node.Lacks("SCAN"):
			return d, ErrNoScan
		case !p.lies.moving.Empty():
			return d, errMoving
		}
		d.parts = append(d.parts, p)
	}
	if !k.st.Outbox.Empty() { // older writes under the prefix may wait there
		return d, ErrBehind
	}
	return d, nil
}

// everywhere leaves the marks at all anchors before any key is looked for: whichever
// anchor a script looks at, it sees the delete.
func (d *PrefixDelete) everywhere(ctx context.Context) (n int, o Outcome, err error) {
	if err := d.onEach(func(p prefixPart) error { return d.mark(ctx, p) }); err != nil {
		return 0, Failed, err
	}
	var mu sync.Mutex // guards n
	err = d.onEach(func(p prefixPart) error {
		removed, err := d.sweep(ctx, p)
		mu.Lock()
		defer mu.Unlock()
		n += removed
		return err
	})
	switch {
	case err == nil:
		return n, Taken, nil
	case remote.KindOf(err) == remote.Logical:
		return n, Rejected, err
	}
	for _, p := range d.parts {
		if p.node.Lacks("SCAN") {
			return n, Failed, fmt.Errorf("%w: %w", ErrNoScan, err)
		}
	}
	return n, Failed, err
}

// onEach does something on all shards, side by side.
func (d *PrefixDelete) onEach(do func(prefixPart) error) error {
	errs := make([]error, len(d.parts))
	var wg sync.WaitGroup
	for i, p := range d.parts {
		wg.Go(func() { errs[i] = do(p) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *PrefixDelete) mark(ctx context.Context, p prefixPart) error {
	m := remote.PrefixMark{Rest: d.rest, Process: d.class.st.process}
	return p.shard.markEach(ctx, p.node, m, d.class.Prefix, p.lies.anchors.all, d.class.limit)
}

// sweep deletes the keys of one shard. See deletePrefix for the second mark.
func (d *PrefixDelete) sweep(ctx context.Context, p prefixPart) (n int, err error) {
	at, _ := p.node.ServerTime(time.Now())
	n, err = p.node.DeletePrefix(ctx, d.class.Prefix+d.rest, d.class.limit)
	if err == nil && n > 0 {
		err = d.mark(ctx, p)
	}
	if err != nil {
		return n, err
	}
	what := d.what
	what.Lo, what.Hi, what.Slots = at, at, &p.lies.owned
	left, ok := p.shard.takenPrefixes([]outbox.Prefix{what}, p.node, p.generation)
	if !ok || left != nil {
		return n, ErrChanged
	}
	return n, nil
}
