package outbox

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// naive is a Box written for the reader: one list, searched from end to end.
type naive struct {
	maxEntries int
	maxBytes   int64
	seq        uint64
	records    []Record // oldest first
	prefixes   []Prefix // oldest first
	overflow   uint64
}

func (n *naive) find(key string) *Record {
	for i := range n.records {
		if n.records[i].Key == key {
			return &n.records[i]
		}
	}
	return nil
}

func (n *naive) covered(key string) bool {
	return slices.ContainsFunc(n.prefixes, func(p Prefix) bool { return strings.HasPrefix(key, p.Text) })
}

func (n *naive) remove(remove func(Record) bool) { n.records = slices.DeleteFunc(n.records, remove) }

func (n *naive) bytes() (sum int64) {
	for _, r := range n.records {
		sum += r.cost()
	}
	return sum
}

func (n *naive) prefixBytes() (sum int64) {
	for _, p := range n.prefixes {
		sum += prefixCost(p.Text)
	}
	return sum
}

// put reports whether r has room once the older record of its key is gone.
func (n *naive) put(r Record) bool {
	was := slices.Clone(n.records)
	n.remove(func(old Record) bool { return old.Key == r.Key })
	if len(n.records)+1 > n.maxEntries || n.bytes()+r.cost() > n.maxBytes {
		n.records = was
		return false
	}
	n.seq++
	r.Seq = n.seq
	n.records = append(n.records, r)
	return true
}

func (n *naive) Put(r Record) error {
	old := n.find(r.Key)
	if r.Kind == Touch && (old != nil && gone(*old) || old == nil && n.covered(r.Key)) {
		return nil
	}
	if r.Kind == Touch && old != nil && old.Kind == Set {
		r = retimed(*old, r)
	} else if old != nil {
		r.Floor = max(r.Floor, old.Hi, old.Floor, old.Prolonged)
	}
	switch {
	case n.put(r):
	case r.Kind == Touch:
		n.overflow++
	case n.put(bare(r)):
		n.overflow++
	default:
		sets := uint64(0)
		for _, old := range n.records {
			if old.Kind == Set && strings.HasPrefix(old.Key, r.Class) {
				sets++
			}
		}
		if err := n.PutPrefix(Prefix{Text: r.Class, Since: r.Since, Lo: r.Lo, Hi: r.Hi}); err != nil {
			return err
		}
		n.overflow += 1 + sets
	}
	return nil
}

func (n *naive) PutPrefix(p Prefix) error {
	kept := slices.DeleteFunc(slices.Clone(n.prefixes), func(q Prefix) bool { return strings.HasPrefix(q.Text, p.Text) })
	if len(kept) >= maxPrefixes {
		return ErrFull
	}
	n.remove(func(r Record) bool { return strings.HasPrefix(r.Key, p.Text) })
	n.seq++
	p.Seq = n.seq
	n.prefixes = append(kept, p)
	return nil
}

func (n *naive) Return(rs []Record, ps []Prefix) {
	slices.SortFunc(ps, func(p, q Prefix) int { return cmpInt(q.Since, p.Since) })
	for _, p := range ps {
		n.returnPrefix(p)
	}
	slices.SortFunc(rs, func(r, s Record) int { return cmpInt(s.Since, r.Since) })
	for _, r := range rs {
		n.returnRecord(r)
	}
}

func (n *naive) returnRecord(r Record) {
	for _, p := range n.prefixes {
		if strings.HasPrefix(r.Key, p.Text) && (p.Since >= r.Since || r.Kind == Touch) {
			return
		}
	}
	if old := n.find(r.Key); old != nil {
		r = both(r, *old)
	}
	switch {
	case n.replace(r):
	case r.Kind == Touch:
		n.overflow++
	case n.replace(bare(r)):
		n.overflow++
	default:
		n.remove(func(old Record) bool { return old.Key == r.Key })
		n.overflow += 1 + n.returnPrefix(Prefix{Text: r.Class, Since: r.Since, Lo: r.Lo, Hi: r.Hi})
	}
}

// replace puts r where its key's record is, or in front, if it has room.
func (n *naive) replace(r Record) bool {
	n.seq++
	r.Seq = n.seq
	was := slices.Clone(n.records)
	if old := n.find(r.Key); old != nil {
		*old = r
	} else {
		n.records = append([]Record{r}, n.records...)
	}
	if len(n.records) <= n.maxEntries && n.bytes() <= n.maxBytes {
		return true
	}
	n.seq--
	n.records = was
	return false
}

// returnPrefix tells how many values went.
func (n *naive) returnPrefix(p Prefix) (sets uint64) {
	n.remove(func(r Record) bool {
		goes := strings.HasPrefix(r.Key, p.Text) && r.Since <= p.Since
		if goes && r.Kind == Set {
			sets++
		}
		return goes
	})
	n.seq++
	p.Seq = n.seq
	for _, q := range n.prefixes {
		if q.Text == p.Text {
			p.Lo, p.Hi = naiveDates(p, q)
			p.Since = max(p.Since, q.Since)
		}
	}
	n.prefixes = slices.DeleteFunc(n.prefixes, func(q Prefix) bool { return strings.HasPrefix(q.Text, p.Text) && q.Since <= p.Since })
	n.prefixes = append([]Prefix{p}, n.prefixes...)
	return sets
}

// both is what is left of two writes of a key, of which waits was put last.
func both(r, waits Record) Record {
	older, newer := r, waits
	if waits.Since < r.Since {
		older, newer = waits, r
	}
	switch {
	case newer.Kind == Touch && gone(older):
		return older
	case newer.Kind == Touch && older.Kind == Set:
		return retimed(older, newer)
	}
	if r.Since > waits.Since {
		return newer
	}
	if older.Since == newer.Since {
		newer.Floor, newer.Prolonged = max(newer.Floor, older.Floor), max(newer.Prolonged, older.Prolonged)
		return newer
	}
	return knowing(newer, older)
}

// knowing is a write that may have been acknowledged before the older one ended.
func knowing(newer, older Record) Record {
	for _, at := range []int64{older.Hi, older.Floor, older.Prolonged} {
		if at <= newer.Hi && at > newer.Floor {
			newer.Floor = at
		}
	}
	return newer
}

// retimed is a Set with the end of a Touch that came later.
func retimed(set, touch Record) Record {
	set.Ends, set.TTL, set.Mixed = touch.Ends, touch.TTL, true
	set.Prolonged = max(set.Prolonged, touch.Hi, touch.Prolonged)
	return set
}

func gone(r Record) bool { return r.Kind == Delete || r.Kind == Invalidate }

// bare is a record without what has no room.
func bare(r Record) Record {
	return Record{Kind: Invalidate, Slot: r.Slot, Key: r.Key, Class: r.Class, Since: r.Since, Lo: r.Lo, Hi: r.Hi, Floor: r.Floor, Prolonged: r.Prolonged, TTL: r.TTL, Mixed: r.Mixed}
}

func cmpInt(a, b int64) int { return int(a - b) }

func (n *naive) Done(key string, seq uint64) {
	n.remove(func(r Record) bool { return r.Key == key && r.Seq <= seq })
}

func (n *naive) DonePrefix(seq uint64) {
	n.prefixes = slices.DeleteFunc(n.prefixes, func(p Prefix) bool { return p.Seq == seq })
}

// naiveDates are the dates of two prefixes that become one.
func naiveDates(p, q Prefix) (lo, hi int64) {
	if p.Hi == 0 || q.Hi == 0 {
		return 0, 0
	}
	return min(p.Lo, q.Lo), max(p.Hi, q.Hi)
}

func (n *naive) Taken(taken Record) {
	if r := n.find(taken.Key); r != nil && r.Since > taken.Since && taken.Kind != Touch {
		*r = knowing(*r, taken)
	}
	n.remove(func(r Record) bool {
		return r.Key == taken.Key && r.Since <= taken.Since && (taken.Kind != Touch || r.Kind == Touch)
	})
}

func (n *naive) Oldest(max int) []Record {
	rs := slices.DeleteFunc(slices.Clone(n.records), func(r Record) bool { return n.covered(r.Key) })
	return rs[:min(max, len(rs))]
}

func (n *naive) Depth() Depth {
	d := Depth{Entries: len(n.records) + len(n.prefixes), Bytes: n.bytes() + n.prefixBytes(), Overflowed: n.overflow}
	if len(n.records) > 0 {
		d.Oldest = n.records[0].Since
	}
	for _, p := range n.prefixes {
		if d.Oldest == 0 || p.Since < d.Oldest {
			d.Oldest = p.Since
		}
	}
	return d
}

// The keys of two classes, short enough to meet often.
var (
	classes  = []string{"a:", "b:"}
	texts    = []string{"a:", "b:", "a:1", "a:11", "b:1", "b:2", ""}
	allKeys  = keysOf(classes, "1", "11", "12", "2", "21", "3", "4")
	noValues = []byte("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
)

func keysOf(classes []string, keys ...string) (all []string) {
	for _, c := range classes {
		for _, k := range keys {
			all = append(all, c+k)
		}
	}
	return all
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func randomRecord(r *rand.Rand, now int64) Record {
	key := pick(r, allKeys)
	rec := Record{Kind: Kind(r.IntN(3)), Key: key, Class: key[:2], Since: now, Ends: now + int64(r.IntN(1000))}
	rec.Lo = r.Int64N(100)
	rec.Hi, rec.Floor, rec.TTL, rec.Mixed = rec.Lo+r.Int64N(20), r.Int64N(50), time.Duration(r.IntN(3)), r.IntN(2) == 0
	if rec.Kind == Set {
		rec.Value = noValues[:r.IntN(len(noValues))]
		rec.Invalidate = r.IntN(4) == 0
	}
	return rec
}

// randomReturn is of different times, each key once.
func randomReturn(r *rand.Rand, now int64) (rs []Record, ps []Prefix) {
	for i := range r.IntN(6) {
		rec := randomRecord(r, now-int64(i)-20*r.Int64N(3))
		if !slices.ContainsFunc(rs, func(s Record) bool { return s.Key == rec.Key || s.Since == rec.Since }) {
			rs = append(rs, rec)
		}
	}
	for i := range r.IntN(2) {
		ps = append(ps, Prefix{Text: pick(r, texts), Since: now - int64(i) - 10*r.Int64N(3), Lo: r.Int64N(9), Hi: r.Int64N(9)})
	}
	return rs, ps
}

// step does one thing to both, and says what it was.
func step(r *rand.Rand, b *Box, n *naive, now int64) (did string, got, want error) {
	switch r.IntN(11) {
	case 10:
		rs, ps := randomReturn(r, now)
		b.Return(slices.Clone(rs), slices.Clone(ps))
		n.Return(rs, ps)
		return fmt.Sprintf("Return(%+v, %+v)", rs, ps), nil, nil
	case 0:
		p := Prefix{Text: pick(r, texts), Since: now}
		return fmt.Sprintf("PutPrefix(%q)", p.Text), b.PutPrefix(p), n.PutPrefix(p)
	case 1, 2:
		key, seq := pick(r, allKeys), uint64(r.Int64N(int64(n.seq)+2))
		b.Done(key, seq)
		n.Done(key, seq)
		return fmt.Sprintf("Done(%s, %d)", key, seq), nil, nil
	case 3:
		seq := uint64(r.Int64N(int64(n.seq) + 2))
		if len(n.prefixes) > 0 {
			seq = pick(r, n.prefixes).Seq
		}
		b.DonePrefix(seq)
		n.DonePrefix(seq)
		return fmt.Sprintf("DonePrefix(%d)", seq), nil, nil
	case 4:
		rec := randomRecord(r, now-r.Int64N(now))
		b.Taken(rec)
		n.Taken(rec)
		return fmt.Sprintf("Taken(%+v)", rec), nil, nil
	default:
		rec := randomRecord(r, now)
		return fmt.Sprintf("Put(%+v)", rec), b.Put(rec), n.Put(rec)
	}
}

func TestTheBoxDoesWhatANaiveOneDoes(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		entries, bytes := 1+r.IntN(12), r.Int64N(12*(overhead+40))
		b, n := New(entries, bytes), &naive{maxEntries: entries, maxBytes: bytes}
		for now := int64(1); now <= 300; now++ {
			did, got, want := step(r, b, n, now)
			if got != want {
				t.Fatalf("seed %d, step %d: %s = %v, want %v", seed, now, did, got, want)
			}
			if diff := compare(b, n); diff != "" {
				t.Fatalf("seed %d, step %d: after %s (-want +got):\n%s", seed, now, did, diff)
			}
		}
	}
}

// compare looks at everything that can be seen of both.
func compare(b *Box, n *naive) string {
	if d := b.Depth(); d.Entries-len(n.prefixes) > n.maxEntries || d.Bytes-n.prefixBytes() > n.maxBytes {
		return fmt.Sprintf("over the bound of %d entries and %d bytes: %+v", n.maxEntries, n.maxBytes, d)
	}
	if b.Empty() != (len(n.records)+len(n.prefixes) == 0) {
		return fmt.Sprintf("Empty = %v", b.Empty())
	}
	for _, key := range allKeys {
		want, ok := n.find(key), true
		if want == nil {
			ok = n.covered(key)
			want = &Record{Kind: Delete, Key: key}
		}
		if got, found := b.Find(key); found != ok || ok && (got.Kind != want.Kind || string(got.Value) != string(want.Value) || got.Ends != want.Ends) {
			return fmt.Sprintf("Find(%s) = %+v, %v, want %+v, %v", key, got, found, *want, ok)
		}
		if b.Covered(key) != n.covered(key) {
			return fmt.Sprintf("Covered(%s) = %v", key, b.Covered(key))
		}
		if _, ready := b.Ready(key); ready != (n.find(key) != nil && !n.covered(key)) {
			return fmt.Sprintf("Ready(%s) = %v", key, ready)
		}
	}
	switch {
	case b.Depth() != n.Depth():
		return cmp.Diff(n.Depth(), b.Depth())
	case !slices.Equal(b.Prefixes(), n.prefixes):
		return cmp.Diff(n.prefixes, b.Prefixes())
	case !slices.EqualFunc(b.Oldest(1000, nil), n.Oldest(1000), sameRecord):
		return cmp.Diff(n.Oldest(1000), b.Oldest(1000, nil))
	case !slices.EqualFunc(b.Oldest(3, nil), n.Oldest(3), sameRecord):
		return cmp.Diff(n.Oldest(3), b.Oldest(3, nil))
	}
	return ""
}

func sameRecord(a, b Record) bool {
	same := string(a.Value) == string(b.Value)
	a.Value, b.Value = nil, nil
	return same && reflect.DeepEqual(a, b)
}

// world is a Redis that held an old value under every key when it went away,
// and what it should hold of what was acknowledged since.
type world struct {
	redis, meant map[string]string
	touched      map[string]bool
}

func newWorld() *world {
	w := &world{redis: map[string]string{}, meant: map[string]string{}, touched: map[string]bool{}}
	for _, key := range allKeys {
		w.redis[key], w.meant[key] = "old", "old"
	}
	return w
}

// took is the master's side of a replay.
func (w *world) took(r Record) {
	switch r.Kind {
	case Set:
		w.redis[r.Key] = string(r.Value)
	case Delete, Invalidate:
		delete(w.redis, r.Key)
	}
}

func (w *world) tookPrefix(p Prefix) { clearUnder(w.redis, p.Text) }

func clearUnder(m map[string]string, prefix string) {
	for key := range m {
		if strings.HasPrefix(key, prefix) {
			delete(m, key)
		}
	}
}

// acknowledged is the callers' side.
func (w *world) acknowledged(r Record) {
	switch r.Kind {
	case Set:
		w.meant[r.Key] = string(r.Value)
	case Delete:
		delete(w.meant, r.Key)
	}
}

// Whatever the order of writes, replays that stop half way and writes that
// reach the master directly: at the end each key holds the last write that was
// acknowledged, or, where the box was too small, nothing.
func TestAReplayBringsBackTheLastWriteOrNothing(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		entries, bytes := 1+r.IntN(20), int64(1<<20)
		if r.IntN(2) == 0 {
			bytes = r.Int64N(12 * (overhead + 10))
		}
		b, w := New(entries, bytes), newWorld()
		for now := int64(1); now <= 200; now++ {
			write(t, r, b, w, now)
		}
		for !b.Empty() {
			drain(b, 3, w.tookPrefix, w.took)
		}
		overflowed := b.Depth().Overflowed > 0
		for _, key := range allKeys {
			got, there := w.redis[key]
			if want, wanted := w.meant[key]; got != want && (there || !overflowed) {
				t.Fatalf("seed %d: Redis holds %q (%v) under %s, want %q (%v); overflowed: %v", seed, got, there, key, want, wanted, overflowed)
			}
		}
	}
}

func write(t *testing.T, r *rand.Rand, b *Box, w *world, now int64) {
	rec := randomRecord(r, now)
	rec.Value = fmt.Append(nil, now)
	switch r.IntN(12) {
	case 0:
		p := Prefix{Text: pick(r, texts), Since: now}
		if err := b.PutPrefix(p); err != nil {
			t.Fatal(err)
		}
		clearUnder(w.meant, p.Text)
	case 1: // a replay that is interrupted after a few
		drain(b, 2, w.tookPrefix, w.took)
	case 2: // a write that the master takes at once, as it may where nothing is in its way
		if _, waits := b.Find(rec.Key); b.Covered(rec.Key) || rec.Kind == Touch && waits {
			return
		}
		w.took(rec)
		w.acknowledged(rec)
		b.Taken(rec)
	case 3: // one that is taken while a newer one of its key is put
		if b.Covered(rec.Key) {
			return
		}
		newer := randomRecord(r, now)
		newer.Key, newer.Class, newer.Value, newer.Since = rec.Key, rec.Class, fmt.Append(nil, now, "+"), now+1
		put(t, b, newer)
		w.took(rec)
		if rec.Kind != Touch {
			w.acknowledged(rec)
		}
		w.acknowledged(newer)
		b.Taken(rec)
	default:
		put(t, b, rec)
		w.acknowledged(rec)
	}
}
