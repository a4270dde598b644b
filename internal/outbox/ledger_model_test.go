package outbox

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// noted is a record in a naiveLedger.
type noted struct {
	Rec        Record
	Number     uint64
	At         int64
	Bare, Ring bool
}

// naiveLedger is a Ledger written for the reader: one list, in the order in
// which records were taken.
type naiveLedger struct {
	bounds   LedgerBounds
	epoch    uint64
	next     uint64
	base     uint64
	all      []noted
	prefixes []heldPrefix
	depth    LedgerDepth // what was dropped
	shard    func(key string) int
}

func (n *naiveLedger) find(key string) int {
	return slices.IndexFunc(n.all, func(e noted) bool { return e.Rec.Key == key })
}

func (n *naiveLedger) Add(r Record, epoch uint64, now int64) (uint64, bool) {
	if epoch != n.epoch {
		return 0, false
	}
	if i := n.find(r.Key); i >= 0 {
		old := n.all[i].Rec
		if r.Kind == Touch && r.Since >= old.Since && gone(old) {
			n.expire(now, r.Key)
			return n.next, true
		}
		if r.Since >= old.Since || old.Kind == Touch {
			r = both(old, r)
		} else {
			r = old
		}
		n.all = slices.Delete(n.all, i, i+1)
	}
	n.all = append(n.all, noted{Rec: r, Number: n.next, At: now})
	n.expire(now, r.Key)
	n.shed()
	return n.next, true
}

// expire drops the first two of the shard of a key, as an Add does.
func (n *naiveLedger) expire(now int64, key string) {
	for range 2 {
		i := slices.IndexFunc(n.all, func(e noted) bool { return e.Ring && n.shard(e.Rec.Key) == n.shard(key) })
		if i >= 0 && now-n.all[i].At >= int64(n.bounds.RingAge) {
			n.all = slices.Delete(n.all, i, i+1)
		}
	}
}

func (n *naiveLedger) sums() (entries int, bytes, ringBytes int64) {
	for _, e := range n.all {
		if e.Ring {
			ringBytes += e.Rec.cost()
		} else {
			entries, bytes = entries+1, bytes+e.Rec.cost()
		}
	}
	return entries, bytes, ringBytes
}

func (n *naiveLedger) shed() {
	for {
		entries, bytes, _ := n.sums()
		oldest := slices.IndexFunc(n.all, func(e noted) bool { return !e.Ring })
		full := slices.IndexFunc(n.all, func(e noted) bool { return !e.Ring && !e.Bare })
		switch {
		case entries <= n.bounds.Entries && bytes <= n.bounds.Bytes:
			return
		case entries <= n.bounds.Entries && full >= 0:
			e := &n.all[full]
			e.Bare = true
			if e.Rec.Kind == Set {
				e.Rec = bare(e.Rec)
				n.depth.Dropped++
			}
			continue
		case n.all[oldest].Rec.Kind == Touch:
			n.depth.Dropped++
		default:
			e := n.all[oldest]
			n.depth.DroppedKeys++
			n.hold(heldPrefix{Prefix: Prefix{Text: e.Rec.Class, Since: e.Rec.Since, Lo: e.Rec.Lo, Hi: e.Rec.Hi}, number: e.Number, at: e.At})
		}
		n.all = slices.Delete(n.all, oldest, oldest+1)
	}
}

func (n *naiveLedger) hold(p heldPrefix) {
	if i := slices.IndexFunc(n.prefixes, func(q heldPrefix) bool { return q.Text == p.Text }); i >= 0 {
		q := n.prefixes[i]
		if !q.ring {
			p.at = min(p.at, q.at)
		}
		p.Since, p.number = max(p.Since, q.Since), max(p.number, q.number)
		p.Lo, p.Hi = naiveDates(p.Prefix, q.Prefix)
		n.prefixes = slices.Delete(n.prefixes, i, i+1)
	}
	n.prefixes = slices.DeleteFunc(n.prefixes, func(q heldPrefix) bool {
		return strings.HasPrefix(q.Text, p.Text) && q.Since <= p.Since && q.number <= p.number
	})
	n.prefixes = append(n.prefixes, p)
}

func (n *naiveLedger) AddPrefix(p Prefix, epoch uint64, now int64) (uint64, bool) {
	if epoch != n.epoch {
		return 0, false
	}
	n.hold(heldPrefix{Prefix: p, number: n.next, at: now})
	n.all = slices.DeleteFunc(n.all, func(e noted) bool { return strings.HasPrefix(e.Rec.Key, p.Text) && e.Rec.Since <= p.Since })
	return n.next, true
}

func (n *naiveLedger) NextBarrier(epoch uint64) (uint64, bool) {
	if epoch != n.epoch {
		return 0, false
	}
	n.next++
	return n.next - 1, true
}

func (n *naiveLedger) Confirm(number uint64, now int64) {
	if number >= n.next {
		return
	}
	if number >= n.base {
		var ring, rest, confirmed []noted
		for _, e := range n.all {
			switch {
			case e.Ring:
				ring = append(ring, e)
			case e.Number <= number:
				e.Ring, e.Bare, e.At = true, false, now
				confirmed = append(confirmed, e)
			default:
				rest = append(rest, e)
			}
		}
		n.all = slices.Concat(ring, confirmed, rest)
		for i, p := range n.prefixes {
			if !p.ring && p.number <= number {
				n.prefixes[i].ring, n.prefixes[i].at = true, now
			}
		}
	}
	n.Trim(now)
	for {
		_, _, bytes := n.sums()
		if bytes <= n.bounds.RingBytes {
			return
		}
		first := -1
		for i, e := range n.all {
			if e.Ring && (first < 0 || e.At < n.all[first].At || e.At == n.all[first].At && n.shard(e.Rec.Key) < n.shard(n.all[first].Rec.Key)) {
				first = i
			}
		}
		n.all = slices.Delete(n.all, first, first+1)
		n.depth.RingDropped++
	}
}

func (n *naiveLedger) Trim(now int64) {
	n.all = slices.DeleteFunc(n.all, func(e noted) bool { return e.Ring && now-e.At >= int64(n.bounds.RingAge) })
	n.prefixes = slices.DeleteFunc(n.prefixes, func(p heldPrefix) bool { return p.ring && now-p.at >= int64(n.bounds.RingAge) })
}

func (n *naiveLedger) Floor(key string) int64 {
	if i := n.find(key); i >= 0 {
		return max(n.all[i].Rec.Hi, n.all[i].Rec.Floor, n.all[i].Rec.Prolonged)
	}
	return 0
}

func (n *naiveLedger) Forget(key string) int64 {
	floor := n.Floor(key)
	n.all = slices.DeleteFunc(n.all, func(e noted) bool { return e.Rec.Key == key })
	return floor
}

func (n *naiveLedger) Uncover(held uint64) (rs []Record, ps []Prefix) {
	n.epoch++
	n.base = n.next
	if held >= n.next {
		held = 0
	}
	n.all = slices.DeleteFunc(n.all, func(e noted) bool {
		if e.Number > held {
			rs = append(rs, e.Rec)
		}
		return e.Number > held
	})
	n.prefixes = slices.DeleteFunc(n.prefixes, func(p heldPrefix) bool {
		if p.number > held {
			ps = append(ps, p.Prefix)
		}
		return p.number > held
	})
	slices.SortFunc(rs, func(r, s Record) int { return cmpInt(r.Since, s.Since) })
	slices.SortStableFunc(ps, func(p, q Prefix) int { return cmpInt(p.Since, q.Since) })
	return rs, ps
}

func (n *naiveLedger) Depth() LedgerDepth {
	d := n.depth
	at := int64(1 << 62)
	var entries int
	entries, d.Bytes, d.RingBytes = n.sums()
	d.Unconfirmed, d.Ring = entries, len(n.all)-entries
	for _, e := range n.all {
		if !e.Ring && e.At < at {
			d.Oldest, at = e.Rec.Since, e.At
		}
	}
	for _, p := range n.prefixes {
		switch {
		case p.ring:
			d.Ring++
		case p.at < at:
			d.Oldest, at = p.Since, p.at
			fallthrough
		default:
			d.Unconfirmed++
		}
	}
	return d
}

// contents lists what both hold, by key.
func (n *naiveLedger) contents() []noted { return byKey(slices.Clone(n.all)) }

func contents(l *Ledger) (all []noted) {
	for i := range l.shards {
		s := &l.shards[i]
		for _, list := range []*ledgerList{&s.bare, &s.full, &s.ring} {
			for e := list.root.next; e != &list.root; e = e.next {
				all = append(all, noted{Rec: e.rec, Number: e.number, At: e.at, Bare: list == &s.bare, Ring: list == &s.ring})
			}
		}
	}
	return byKey(all)
}

func byKey(all []noted) []noted {
	slices.SortFunc(all, func(a, b noted) int { return strings.Compare(a.Rec.Key, b.Rec.Key) })
	return all
}

// ledgerStep does one thing to both and returns what each of them said.
func ledgerStep(r *rand.Rand, l *Ledger, n *naiveLedger, now int64) (did string, got, want []any) {
	said := func(vs ...any) []any { return vs }
	two := func(a uint64, b bool) []any { return said(a, b) }
	epoch := n.epoch
	if r.IntN(20) == 0 {
		epoch--
	}
	switch k := r.IntN(40); {
	case k < 2:
		p := Prefix{Text: pick(r, texts), Since: now - r.Int64N(20), Lo: r.Int64N(9), Hi: r.Int64N(9)}
		return fmt.Sprintf("AddPrefix(%+v)", p), two(l.AddPrefix(p, epoch, now)), two(n.AddPrefix(p, epoch, now))
	case k < 8:
		return "NextBarrier", two(l.NextBarrier(epoch)), two(n.NextBarrier(epoch))
	case k < 12:
		number := uint64(r.Int64N(int64(n.next) + 2))
		if r.IntN(2) == 0 {
			number = n.next - 1
		}
		l.Confirm(number, now)
		n.Confirm(number, now)
		return fmt.Sprintf("Confirm(%d)", number), nil, nil
	case k < 13:
		key := pick(r, allKeys)
		return "Forget " + key, said(l.Forget(key)), said(n.Forget(key))
	case k < 14:
		held := uint64(r.Int64N(int64(n.next) + 2))
		rs, ps := l.Uncover(held)
		wantRs, wantPs := n.Uncover(held)
		return fmt.Sprintf("Uncover(%d)", held), said(inOrder(rs), ps), said(inOrder(wantRs), wantPs)
	case k < 15:
		l.Trim(now)
		n.Trim(now)
		return "Trim", nil, nil
	default:
		rec := randomRecord(r, now)
		if r.IntN(10) == 0 {
			rec.Since -= r.Int64N(20)
		}
		return fmt.Sprintf("Add(%+v)", rec), two(l.Add(rec, epoch, now)), two(n.Add(rec, epoch, now))
	}
}

// inOrder settles the order of records of the same Since, and of no others.
func inOrder(rs []Record) []Record {
	if !slices.IsSortedFunc(rs, func(r, s Record) int { return cmpInt(r.Since, s.Since) }) {
		return nil
	}
	slices.SortFunc(rs, func(r, s Record) int { return cmp.Or(cmpInt(r.Since, s.Since), strings.Compare(r.Key, s.Key)) })
	return rs
}

func TestTheLedgerDoesWhatANaiveOneDoes(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 4))
		bounds := LedgerBounds{1 + r.IntN(16), r.Int64N(14 * (overhead + 40)), r.Int64N(10 * overhead), time.Duration(1 + r.IntN(100))}
		l := NewLedger(bounds)
		n := &naiveLedger{bounds: bounds, epoch: 1, next: 1, base: 1, shard: func(key string) int { return shardIndex(l, key) }}
		for now := int64(100); now <= 400; now++ {
			did, got, want := ledgerStep(r, l, n, now)
			if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d, step %d: %s (-want +got):\n%s", seed, now, did, diff)
			}
			if diff := compareLedgers(l, n); diff != "" {
				t.Fatalf("seed %d, step %d: after %s (-want +got):\n%s", seed, now, did, diff)
			}
		}
	}
}

func shardIndex(l *Ledger, key string) int {
	for i := range l.shards {
		if l.shard(key) == &l.shards[i] {
			return i
		}
	}
	return -1
}

func compareLedgers(l *Ledger, n *naiveLedger) string {
	if l.Epoch() != n.epoch || l.Unconfirmed() != n.Depth().Unconfirmed {
		return fmt.Sprintf("epoch %d, %d unconfirmed", l.Epoch(), l.Unconfirmed())
	}
	if want, got := n.contents(), contents(l); !slices.EqualFunc(want, got, sameNoted) {
		return gocmp.Diff(want, got)
	}
	for _, key := range allKeys {
		if l.Floor(key) != n.Floor(key) {
			return fmt.Sprintf("Floor(%s) = %d", key, l.Floor(key))
		}
	}
	var held []heldPrefix
	for _, p := range l.prefixes.all.all() {
		held = append(held, *p)
	}
	if !slices.Equal(held, n.prefixes) {
		return fmt.Sprintf("prefixes %+v, want %+v", held, n.prefixes)
	}
	if d := l.Depth(); d.Bytes > n.bounds.Bytes || d.RingBytes > n.bounds.RingBytes {
		return fmt.Sprintf("over the bounds %+v: %+v", n.bounds, d)
	}
	if n.Depth() != l.Depth() {
		return gocmp.Diff(n.Depth(), l.Depth())
	}
	return ""
}

func sameNoted(a, b noted) bool {
	same := sameRecord(a.Rec, b.Rec)
	a.Rec, b.Rec = Record{}, Record{}
	return same && reflect.DeepEqual(a, b)
}
