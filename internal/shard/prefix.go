package shard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// ErrNoScan is why keys cannot be found by their prefix. A delete that was kept for such
// a server would hold up all writes under its prefix for good.
var ErrNoScan = errors.New("redis has no SCAN, or its ACL forbids it: keys cannot be found by their prefix")

// PrefixDelete is the delete of a prefix on its way to a master.
type PrefixDelete struct {
	class *Class
	shard *Shard
	node  *remote.Node
	rest  string
	what  outbox.Prefix

	generation uint32
	parts      []prefixPart // in Cluster mode
}

// BeginDelete is to be called before a prefix is deleted. An error is why no master can
// be told now; where it is not ErrNoScan, the delete can be kept for the next one.
func (k *Class) BeginDelete(prefix string) (PrefixDelete, error) {
	if k.st.clustered() {
		return k.beginEverywhere(prefix)
	}
	sh := k.st.one
	node := sh.Node.Load()
	switch {
	case node == nil:
		return PrefixDelete{}, k.st.AwayCause()
	case node.Lacks("SCAN"):
		return PrefixDelete{}, ErrNoScan
	case !k.st.Outbox.Empty(): // older writes under the prefix may wait there
		return PrefixDelete{}, ErrBehind
	}
	return PrefixDelete{class: k, shard: sh, node: node, rest: prefix, what: k.prefixNow(prefix), generation: sh.Ledger.Generation()}, nil
}

func (k *Class) prefixNow(prefix string) outbox.Prefix {
	return outbox.Prefix{Text: k.Prefix + prefix, Since: k.st.Clock.Next()}
}

// Send deletes the keys, and returns how many there were.
func (d *PrefixDelete) Send(ctx context.Context) (n int, o Outcome, err error) {
	defer func() { d.class.st.prefixSent(err) }()
	if d.class.st.clustered() {
		return d.everywhere(ctx)
	}
	u := d.shard.undone
	done := u.watch(func(key string) bool { return strings.HasPrefix(key, d.what.Text) }, u.Add)
	defer func() { done(o == Taken) }()
	n, at, err := d.class.deletePrefix(ctx, d.node, d.rest)
	d.what.Lo, d.what.Hi = at, at
	if err == nil {
		if _, ok := d.shard.takenPrefixes([]outbox.Prefix{d.what}, d.node, d.generation); !ok {
			return n, Failed, ErrChanged
		}
		return n, Taken, nil
	}
	switch {
	case remote.KindOf(err) == remote.Logical:
		return n, Rejected, err
	case d.node.Lacks("SCAN"):
		return n, Failed, fmt.Errorf("%w: %w", ErrNoScan, err)
	}
	return n, Failed, err
}

// deletePrefix leaves the mark of the delete and deletes the keys. What others
// wrote meanwhile may have been deleted too, and what they wrote before that must
// not be put back: so the mark moves to the end. at is when it began.
func (k *Class) deletePrefix(ctx context.Context, node *remote.Node, prefix string) (n int, at int64, err error) {
	mark := remote.PrefixMark{Marks: k.Marks(), Rest: prefix, Process: k.st.process}
	at, err = node.MarkPrefix(ctx, mark, k.limit)
	if err != nil {
		return 0, 0, err
	}
	marked := at > 0
	if !marked { // scripts are forbidden
		at, _ = node.ServerTime(time.Now())
	}
	n, err = node.DeletePrefix(ctx, k.Prefix+prefix, k.limit)
	if err == nil && n > 0 && marked {
		_, err = node.MarkPrefix(ctx, mark, k.limit)
	}
	return n, at, err
}

// KeepPrefix keeps the delete of a prefix for the next master, unless too many wait.
func (k *Class) KeepPrefix(prefix string) (Pending, error) {
	p := k.prefixNow(prefix)
	if err := k.st.Outbox.PutPrefix(p); err != nil {
		return Pending{}, err
	}
	return k.st.journal.prefix(p.Text), nil
}
