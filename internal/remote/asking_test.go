package remote

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// moving is a pair with a slot in which so many of some keys have moved: the first
// ones, each with a value of its own.
func (p *pair) moving(s uint16, moved int, values map[string]string, keys ...string) {
	p.Helper()
	for _, key := range keys {
		ask(p.T, p.source, "SET", key, values[key], "PX", "600000")
	}
	p.begin(s)
	for _, key := range keys[:moved] {
		p.move(key)
	}
}

// What has moved is read at the slot's next node, whatever its size, and with the fewest
// rights.
func TestReadsFollowAnAsk(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	ctx := t.Context()
	keys := []string{in(7, "small"), in(7, "empty"), in(7, "span"), in(7, "large")}
	values := map[string]string{keys[0]: "v", keys[2]: strings.Repeat("s", span), keys[3]: strings.Repeat("l", span+5)}
	p.moving(7, len(keys), values, keys...)
	ask(t, p.sink, "ACL", "SETUSER", "few", "on", ">one", "~*", "&*", "+@all", "-getrange", "-strlen", "-pttl")
	ask(t, p.sink, "ACL", "SETUSER", "less", "on", ">one", "~*", "&*", "+@all", "-asking")
	few := p.dial(p.sink, 9000, Config{Username: "few", Password: "one"})
	for _, key := range keys {
		_, err := p.from.Get(ctx, key, long)
		p.wantRedirect(key, err, Redirect{Kind: Ask, Slot: 7, Addr: p.sink.Addr()})
		for _, n := range []*Node{p.to, few} {
			v, err := n.GetAsking(ctx, key, long)
			if err != nil || string(v.Data) != values[key] {
				t.Errorf("%s: %d bytes, %v", key, len(v.Data), err)
			}
			if n == p.to && (v.TTL <= 0 || v.TTL > 10*time.Minute) {
				t.Errorf("%s: it lives for %v", key, v.TTL)
			}
		}
	}
	if _, err := p.to.GetAsking(ctx, in(7, "none"), long); !IsNil(err) {
		t.Errorf("a key that is nowhere: %v", err)
	}
	if _, err := p.to.GetAsking(ctx, in(8, "k"), long); KindOf(err) != Moved {
		t.Errorf("a slot that does not move: %v", err)
	}
	less := p.dial(p.sink, 9000, Config{Username: "less", Password: "one"})
	if _, err := less.GetAsking(ctx, keys[0], long); KindOf(err) != NoPerm {
		t.Errorf("without the right to ASKING: %v", err)
	}
	p.reshard(7, redisproc.Done)
	if v, err := p.to.GetAsking(ctx, keys[0], long); err != nil || string(v.Data) != "v" {
		t.Errorf("once it has moved: %q, %v", v.Data, err)
	}
	wantClosed(t, p.from)
	wantClosed(t, p.to)
}

// follow reads a key as the holder of a routing table does that is a little behind.
func (p *pair) follow(ctx context.Context, key string) (Value, error) {
	for {
		v, err := p.from.Get(ctx, key, long)
		switch KindOf(err) {
		case Ask:
			v, err = p.to.GetAsking(ctx, key, long)
		case Moved:
			v, err = p.to.Get(ctx, key, long)
		}
		if KindOf(err) != Moved { // else it has moved in between
			return v, err
		}
	}
}

// While a slot with many keys moves each of them is read all the time, and those that
// are deleted then stay so.
func TestKeysAreReadAndDeletedAllTheTimeWhileTheirSlotMoves(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	const n, deleted = 400, 100
	for i := range n {
		ask(t, p.source, "SET", in(7, fmt.Sprint(i)), fmt.Sprint(i))
	}
	p.reshard(7, redisproc.Half)
	for i := range n {
		if v, err := p.follow(t.Context(), in(7, fmt.Sprint(i))); err != nil || string(v.Data) != fmt.Sprint(i) {
			t.Errorf("halfway, key %d: %q, %v", i, v.Data, err)
		}
	}
	var wg sync.WaitGroup
	var over atomic.Bool
	for r := range 3 {
		wg.Go(func() {
			for i := deleted + r; !over.Load() || i < n; i += 3 {
				k := deleted + i%(n-deleted)
				if v, err := p.follow(t.Context(), in(7, fmt.Sprint(k))); err != nil || string(v.Data) != fmt.Sprint(k) {
					t.Errorf("key %d: %q, %v", k, v.Data, err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for i := range deleted {
			d := del(in(7, fmt.Sprint(i)))
			_, _, err := DeleteMoving(t.Context(), p.from, p.to, d, long)
			for KindOf(err) == Moved {
				_, _, err = p.to.Delete(t.Context(), d, long)
			}
			if err != nil {
				t.Errorf("delete of key %d: %v", i, err)
			}
		}
	})
	p.reshard(7, redisproc.Done)
	over.Store(true)
	wg.Wait()
	for i := range deleted {
		key := in(7, fmt.Sprint(i))
		if got := ask(t, p.sink, "EXISTS", key, TombstoneKey("app:", key)); got != int64(1) || ask(t, p.sink, "EXISTS", key) != int64(0) {
			t.Errorf("key %d: %v of it and its tombstone", i, got)
		}
	}
}

// A delete gets through while the slot moves, wherever key and tombstone are, and stays
// in force when it has moved: no load of before is stored.
func TestADeleteGetsThroughWhileItsSlotMoves(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	ctx := t.Context()
	for s, tt := range map[uint16]struct {
		key, tomb string // where: "", "source" or "sink"
		kind      Kind   // what Delete meets
	}{
		10: {"", "", Ask},
		11: {"source", "", TryAgain},
		12: {"sink", "", Ask},
		13: {"source", "source", OK},
		14: {"source", "sink", TryAgain},
		15: {"sink", "source", TryAgain},
		16: {"sink", "sink", Ask},
		17: {"", "source", TryAgain},
		18: {"", "sink", Ask},
	} {
		t.Run(fmt.Sprintf("key at %q, tombstone at %q", tt.key, tt.tomb), func(t *testing.T) {
			p := *p
			p.T = t
			key := in(s, "k")
			d := del(key)
			var there, moved []string
			for k, at := range map[string]string{key: tt.key, d.Tomb: tt.tomb} {
				if at != "" {
					there = append(there, k)
				}
				if at == "sink" {
					moved = append(moved, k)
				}
			}
			for _, k := range there {
				ask(t, p.source, "SET", k, map[bool]string{true: "v", false: "1:other"}[k == key])
			}
			p.begin(s)
			for _, k := range moved {
				p.move(k)
			}
			_, _, err := p.from.Delete(ctx, d, long)
			wantKind(t, err, tt.kind)
			if tt.kind == OK {
				return
			}
			if _, _, err := DeleteMoving(ctx, p.from, nil, d, long); tt.key != "source" || tt.tomb != "source" {
				if r, ok := RedirectOf(err); !ok || r.Kind != Ask || r.Addr != p.sink.Addr() {
					t.Errorf("without the next node: %v", err)
				}
			}
			if tt.key == "sink" && tt.tomb == "source" { // the first half came first
				if got := fmt.Sprint(ask(t, p.source, "GET", d.Tomb)); !strings.HasSuffix(got, ":me") || p.asking("EXISTS", key) != int64(1) {
					t.Errorf("without the next node the tombstone is %s", got)
				}
			}
			low, _ := p.from.ServerTime(time.Now())
			removed, at, err := DeleteMoving(ctx, p.from, p.to, d, long)
			if err != nil || removed != (tt.key != "") || at < low-50 {
				t.Errorf("removed %v at %d, after %d: %v", removed, at, low, err)
			}
			again, later, err := DeleteMoving(ctx, p.from, p.to, d, long)
			if err != nil || again || later < at {
				t.Errorf("again: removed %v at %d, %v", again, later, err)
			}
			p.reshard(s, redisproc.Done)
			if got := ask(t, p.sink, "EXISTS", key); got != int64(0) {
				t.Error("it is there")
			}
			if got := ask(t, p.sink, "GET", d.Tomb); got != decimal(later)+":me" {
				t.Errorf("the tombstone is %v, want one of %d", got, later)
			}
			p.marksAt(p.to, []Anchor{200})
			f := fillAt(key, 200, at)
			f.Marks = MarksAt("app:", "app:other:", 200)
			if stored, err := p.to.Fill(ctx, f, long); stored || err != nil {
				t.Errorf("loaded before: stored %v, %v", stored, err)
			}
		})
	}
	wantClosed(t, p.from)
	wantClosed(t, p.to)
}

// A tombstone that a server comes to late is not left, and one that is there does not go
// back in time. Nor is the key removed late.
func TestATombstoneThatIsLateOrEarlierChangesNothing(t *testing.T) {
	t.Parallel()
	b := anchoredBed(t)
	b.put(b.tomb, decimal(b.now+5000)+":other", b.now+life)
	d := Del{Key: b.key, Tomb: b.tomb, Process: "me"}
	if _, err := b.n.run(t.Context(), d.tombStep(decimal(b.now-1), false)).marked(); KindOf(err) != Timeout {
		t.Errorf("a tombstone too late: %v", err)
	}
	b.wantTomb("other", b.now+5000, b.now+5000)
	b.put(b.key, "v", 0)
	late := step{script: scriptUnlink, keys: []string{b.key}, args: []string{decimal(b.now - 1)}}
	if _, err := b.n.unlinked(t.Context(), b.n.run(t.Context(), late), late.keys, false); KindOf(err) != Timeout || b.get(b.key) != "v" {
		t.Errorf("the other half: %v, %q is there", err, b.get(b.key))
	}
	if _, err := b.n.leaveTombstone(t.Context(), d, false, long); err != nil {
		t.Error(err)
	}
	b.wantTomb("me", b.now+5000, b.now+5000) // it does not go back in time
}

// What is said of one key of a pipeline is said of that one alone.
func TestARedirectionOfOneKeySpoilsNoOther(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	ctx := t.Context()
	here, gone, away, none := in(7, "here"), in(7, "gone"), in(9000, "k"), in(20, "none")
	p.moving(7, 1, map[string]string{here: "v", gone: "v"}, gone, here)
	ask(t, p.source, "CLUSTER", "DELSLOTS", "99")
	keys := []string{in(5, "large"), here, gone, away, none, in(99, "k"), in(6, "k")}
	want := []Kind{OK, OK, Ask, Moved, Nil, ClusterDown, OK}
	large := bytes.Repeat([]byte("l"), span+1)
	ask(t, p.source, "SET", keys[0], string(large))
	ask(t, p.source, "SET", keys[6], "v")
	ask(t, p.source, "ACL", "SETUSER", "few", "on", ">one", "~*", "&*", "+@all", "-getrange")
	for _, n := range []*Node{p.from, p.dial(p.source, 0, Config{Username: "few", Password: "one"})} {
		for range 2 { // the second time it is known that ranges are forbidden
			found, err := n.GetMany(ctx, keys, long)
			if err != nil {
				t.Errorf("the whole of it: %v", err)
			}
			for i, k := range want {
				if KindOf(found[i].Err) != k || k == OK && len(found[i].Data) == 0 {
					t.Errorf("%s: %d bytes, %v, want %q", keys[i], len(found[i].Data), found[i].Err, k)
				}
			}
			if r, _ := RedirectOf(found[3].Err); r.Slot != 9000 || r.Addr != p.sink.Addr() {
				t.Errorf("moved: %+v", r)
			}
		}
	}
	ws := make([]Write, len(keys))
	for i, key := range keys {
		ws[i] = Write{Kind: WriteSet, Pair: Pair{Key: key, Data: []byte("new"), TTL: time.Hour}}
	}
	want[4] = OK
	errs, err := p.from.WriteMany(ctx, ws, long)
	if err != nil {
		t.Errorf("the whole of it: %v", err)
	}
	for i, k := range want {
		wantKind(t, errs[i], k)
		if k == OK && ask(t, p.source, "GET", keys[i]) != "new" {
			t.Errorf("%s was not written", keys[i])
		}
	}
	rs := make([]Replay, len(keys))
	now := time.Now().UnixMilli()
	for i, key := range keys {
		rs[i] = Replay{Kind: Restore, Key: key, Data: []byte("newer"), Cond: condAt(key, 3, now+hour/2)}
	}
	want[1] = TryAgain // its tombstone is not there
	_, _, _ = p.from.NoteLives(ctx, Life{TTL: time.Hour}.AtAnchors("app:", "app:c:", []Anchor{3}), false, long)
	outcomes, err := p.from.Replay(ctx, rs, long)
	if err != nil {
		t.Errorf("the whole of it: %v", err)
	}
	for i, k := range want {
		wantKind(t, outcomes[i].Err, k)
		if k == OK && (outcomes[i].Result != Done || ask(t, p.source, "GET", keys[i]) != "newer") {
			t.Errorf("%s was not put back: %v", keys[i], outcomes[i])
		}
	}
	wantClosed(t, p.from)
}

// A delete of a prefix finds the keys of all slots, those that have left for a node that
// they do not belong to yet included, and says where it could not.
func TestADeleteOfAPrefixReachesEverySlot(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	ctx := t.Context()
	for i := range 300 {
		s := uint16(i * 27)
		ask(t, p.source, "SET", in(s, "k"), "v")
		ask(t, p.sink, "SET", in(s+8192, "k"), "v")
	}
	left, stays := in(27, "left"), in(27, "stays")
	p.moving(27, 1, nil, left, stays)
	removed, err := p.from.unlink(ctx, []string{left, stays, in(9000, "k"), in(54, "k")}, long)
	if r, ok := RedirectOf(err); removed != 2 || !ok || r.Kind != Ask || r.Addr != p.sink.Addr() {
		t.Errorf("%d removed of one that has left and three others: %v", removed, err)
	}
	for name, n := range map[string]*Node{"source": p.from, "sink": p.to} {
		if _, err := n.DeletePrefix(ctx, "app:c:", long); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, at := range map[string]*redisproc.Process{"source": p.source, "sink": p.sink} {
		if got := ask(t, at, "KEYS", "app:*"); fmt.Sprint(got) != "[]" {
			t.Errorf("%s has %v", name, got)
		}
	}
	wantClosed(t, p.from)
	wantClosed(t, p.to)
}

// The same where it is put back: what cannot be judged at either node waits.
func TestADeleteOfAPrefixThatIsPutBackNamesWhatItCannotJudge(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	ctx := t.Context()
	left, stays, other := in(27, "left"), in(27, "stays"), in(30, "other")
	ask(t, p.source, "SET", other, "v")
	p.moving(27, 1, nil, left, stays)
	now, _ := p.from.ServerTime(time.Now())
	for name, tt := range map[string]struct {
		n    *Node
		want map[string]Kind
	}{
		"source": {p.from, map[string]Kind{stays: TryAgain}},
		"sink":   {p.to, map[string]Kind{left: Moved}},
	} {
		refused := map[string]Kind{}
		r := PrefixReplay{
			KeyPrefix: "app:", Prefix: "app:c:", Cond: Cond{Process: "me", Lo: now, Hi: now},
			Refused: func(key string, err error) { refused[key] = KindOf(err) },
			Anchor:  func(near uint16) (Anchor, bool) { return 0, false },
		}
		for next := uint64(1); next != 0; {
			var err error
			if next == 1 {
				next = 0
			}
			if _, next, err = tt.n.InvalidatePrefixFrom(ctx, r, next, long); err != nil {
				t.Fatal(err)
			}
		}
		if fmt.Sprint(refused) != fmt.Sprint(tt.want) {
			t.Errorf("%s refused %v, want %v", name, refused, tt.want)
		}
	}
	if got := ask(t, p.source, "EXISTS", other); got != int64(0) {
		t.Error("a key of another slot is there")
	}
}
