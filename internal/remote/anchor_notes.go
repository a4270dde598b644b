package remote

import (
	"context"
	"time"
)

// AtAnchors are the marks to leave for one delete of a prefix of key's class at each of some
// anchors.
func (m PrefixMark) AtAnchors(prefix, key string, anchors []Anchor) []PrefixMark {
	all := make([]PrefixMark, len(anchors))
	for i, a := range anchors {
		all[i] = m
		all[i].Marks = MarksAt(prefix, key, a)
	}
	return all
}

// AtAnchors are the lives to note for one of key's class at each of some anchors.
func (l Life) AtAnchors(prefix, key string, anchors []Anchor) []Life {
	all := make([]Life, len(anchors))
	for i, a := range anchors {
		all[i] = l
		all[i].Lives = LivesAt(prefix, key, a)
	}
	return all
}

// Marked is what came of marks that were left together.
type Marked struct {
	Low, High int64   // when they were made, the first and the last of them; 0: scripts are forbidden
	Errs      []error // of each
}

// MarkEach is MarkPrefixes for the anchors of a node, each of which is answered by
// itself: one that has moved is another node's to mark. asking: their slots are on
// their way to this node, and another has answered Ask. Such a mark is lost if the
// move is given up.
func (n *Node) MarkEach(ctx context.Context, ms []PrefixMark, asking bool, limit time.Duration) (Marked, error) {
	c, bounded, cancel := n.begin(ctx, "delete", limit)
	c.limit = 0
	defer cancel()
	steps := make([]step, len(ms))
	for i := range ms {
		steps[i] = ms[i].step(n, limit)
		steps[i].asking = asking
	}
	marked := Marked{Errs: make([]error, len(ms))}
	var worst error
	for i, a := range n.runMany(bounded, steps) {
		at, err := a.marked()
		marked.Errs[i] = n.tell(err, subject{key: ms[i].Marks})
		worst = n.worse(worst, marked.Errs[i])
		if err == nil && at > 0 {
			marked.High = max(marked.High, at)
			if marked.Low == 0 || at < marked.Low {
				marked.Low = at
			}
		}
	}
	return marked, c.end(ctx, worst)
}

// NoteLives is NoteLife for the anchors of a node, each of which is answered by itself.
// asking is as of MarkEach.
func (n *Node) NoteLives(ctx context.Context, ls []Life, asking bool, limit time.Duration) (longest time.Duration, errs []error, _ error) {
	errs = make([]error, len(ls))
	if len(ls) > 0 {
		longest = ls[0].TTL
	}
	if n.noLives.holds() {
		return longest, errs, nil
	}
	c, bounded, cancel := n.begin(ctx, "life", limit)
	c.limit = 0
	defer cancel()
	steps := make([]step, len(ls))
	for i := range ls {
		steps[i] = ls[i].step()
		steps[i].asking = asking
	}
	var worst error
	for i, a := range n.runMany(bounded, steps) {
		noted, err := n.noted(a, ls[i])
		longest = max(longest, noted)
		errs[i] = n.tell(err, subject{key: ls[i].Lives})
		worst = n.worse(worst, errs[i])
	}
	return longest, errs, c.end(ctx, worst)
}
