package outbox

import (
	"strings"

	"github.com/evercache/evercache/internal/slot"
)

// Prefix is the wish to delete all keys that begin with Text and were written
// before it.
type Prefix struct {
	Text   string
	Since  int64
	Lo, Hi int64 // as in a Record
	Seq    uint64
	// Joined: it was made of several with other texts, since too many were there.
	// It deletes in Redis what is between them too. Nobody asked for that, so no
	// record that is held here is void by it.
	Joined bool
	// Slots are where it counts; nil: everywhere. They are not to be changed. In a
	// Cluster who returns a prefix to a Box names the slots of its shard, or keys of
	// other shards would wait for it too.
	Slots *slot.Set
	// Verify: every server that could become master had carried it out.
	Verify bool
}

// maxPrefixes bounds the prefix deletes that a Box or a Ledger holds.
const maxPrefixes = 1 << 16

// maxPrefixBytes bounds what they cost, beside records of so many bytes.
func maxPrefixBytes(bytes int64) int64 { return max(bytes, 64<<10) }

// joinedTo is how many are left where too many become fewer: to find those that
// have the most in common takes longer the more there are.
func joinedTo(n int) int { return n - n/16 }

// wish is what is left of a record when even its key has no room.
func (r *Record) wish() Prefix { return Prefix{Text: r.Class, Since: r.Since, Lo: r.Lo, Hi: r.Hi} }

// noOlderThan dates p anew where something was done after it. No master knows of that.
func (p *Prefix) noOlderThan(since int64) {
	if p.Since < since {
		p.Since, p.Lo, p.Hi = since, 0, 0
	}
}

// within reports whether whoever deletes q deletes what p would.
func (p *Prefix) within(q *Prefix) bool {
	return strings.HasPrefix(p.Text, q.Text) && p.Since <= q.Since && (p.Joined || !q.Joined) &&
		(q.Slots == nil || q.Slots == p.Slots)
}

// reaches reports whether p counts where the key is.
func (p *Prefix) reaches(key string) bool { return p.Slots == nil || p.Slots.Has(slot.Of(key)) }

// covers reports whether r is under p and not newer: deleted by p, or by its
// like that the application asked for no later.
func (p *Prefix) covers(r *Record) bool {
	return !p.Joined && r.Since <= p.Since && strings.HasPrefix(r.Key, p.Text) && (p.Slots == nil || p.Slots.Has(r.Slot))
}

// join deletes what p and q delete, and what is between them. It has no date by
// a master's clock where one of them has none.
func (p *Prefix) join(q *Prefix) Prefix {
	j := Prefix{Text: p.Text[:common(p.Text, q.Text)], Since: max(p.Since, q.Since)}
	j.Joined = p.Text != q.Text || p.joinedWith(q)
	j.Slots, j.Verify = eitherSlots(p.Slots, q.Slots), p.Verify && q.Verify
	if p.Hi != 0 && q.Hi != 0 {
		j.Lo, j.Hi = min(p.Lo, q.Lo), max(p.Hi, q.Hi)
	}
	return j
}

// joinedWith is Joined of what p and q, of the same text, become together. Who asked for
// the later one asked for all that the earlier deletes, and in all slots: those in which
// it does not count any more have been gone over for it.
func (p *Prefix) joinedWith(q *Prefix) bool {
	switch {
	case p.Since > q.Since:
		return p.Joined
	case p.Since < q.Since:
		return q.Joined
	}
	return p.Joined && q.Joined
}

// common is how many bytes two strings begin with in common.
func common(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
