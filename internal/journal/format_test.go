package journal

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// sample is a file with a history, its entries after each record, and where the
// records end.
func sample(t testing.TB) (b []byte, states [][]Entry, ends []int) {
	t.Helper()
	i := id{1, 2, 3}
	b = fileHeader(i)
	var live []Entry
	remember := func() {
		states, ends = append(states, slices.Clone(live)), append(ends, len(b))
	}
	remember()
	seq := uint64(0)
	put := func(e Entry) {
		seq++
		e.Seq = seq
		b = appendRecord(b, i.seed(), bodySum(i.seed(), e), typeEntry, e)
		live = append(slices.DeleteFunc(slices.Clone(live), func(o Entry) bool { return o.Key == e.Key }), e)
		remember()
	}
	done := func(key string, of uint64) {
		seq++
		e := Entry{Key: key, Payload: []byte{byte(of), 0, 0, 0, 0, 0, 0, 0}, Seq: seq}
		b = appendRecord(b, i.seed(), bodySum(i.seed(), e), typeDone, e)
		live = slices.DeleteFunc(slices.Clone(live), func(o Entry) bool { return o.Key == key && o.Seq <= of })
		remember()
	}
	put(entry("a", "one"))
	put(entry("b", "two"))
	put(entry("a", "three"))
	done("b", 2)
	done("a", 1) // it is newer
	put(entry("", ""))
	put(entry("c", "a payload"))
	return b, states, ends
}

func entriesOf(f found) []Entry {
	var all []Entry
	for _, p := range f.live {
		all = append(all, p.Entry)
	}
	return all
}

func same(a, b []Entry) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func TestAFileIsReadToItsNewestStatePerKey(t *testing.T) {
	b, states, _ := sample(t)
	f := scan(bytes.NewReader(b), int64(len(b)))
	if f.damage != nil || f.torn != 0 || f.last != 7 {
		t.Errorf("damage %v, torn %d, last %d", f.damage, f.torn, f.last)
	}
	if got, want := entriesOf(f), states[len(states)-1]; !same(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, p := range f.live {
		if raw, _, err := readRaw(bytes.NewReader(b), f.id.seed(), keyed{p.Key, p.item}); err != nil || int64(len(raw)) != p.size {
			t.Errorf("%q cannot be read back: %v", p.Key, err)
		}
	}
}

// Whatever is cut off, what was complete before is there, and it is no damage.
func TestATornEndIsCutOffAtEveryByte(t *testing.T) {
	b, states, ends := sample(t)
	for n := headerLen; n < len(b); n++ {
		whole, exact := slices.BinarySearch(ends, n)
		if !exact {
			whole--
		}
		for name, end := range map[string][]byte{"cut": nil, "zeros": make([]byte, 100)} {
			if name == "zeros" && !exact {
				continue // what is half there and then zeros may count as damage
			}
			file := append(bytes.Clone(b[:n]), end...)
			f := scan(bytes.NewReader(file), int64(len(file)))
			if f.damage != nil || f.torn != int64(len(file)-ends[whole]) || !same(entriesOf(f), states[whole]) {
				t.Fatalf("%s at %d: damage %v, torn %d, entries %v", name, n, f.damage, f.torn, entriesOf(f))
			}
		}
	}
}

// No damage invents an entry or brings a state that never was, and each is
// noticed.
func TestDamageAtEveryByteIsNoticed(t *testing.T) {
	b, states, ends := sample(t)
	for n := range b {
		for _, flip := range []byte{1, 0x80, 0xff} {
			file := bytes.Clone(b)
			file[n] ^= flip
			f := scan(bytes.NewReader(file), int64(len(file)))
			whole, _ := slices.BinarySearch(ends, n+1) // the record of this byte
			want := states[0]
			if whole > 0 {
				want = states[whole-1]
			}
			if !same(entriesOf(f), want) {
				t.Fatalf("byte %d: %v, want %v", n, entriesOf(f), want)
			}
			if f.damage == nil || f.torn != 0 {
				t.Fatalf("byte %d: damage %v, torn %d", n, f.damage, f.torn)
			}
		}
	}
}

func TestARecordOfAnOlderStateOrAnotherFileIsNotTaken(t *testing.T) {
	b, states, ends := sample(t)
	old := bytes.Clone(b[ends[0]:ends[1]])
	f := scan(bytes.NewReader(append(bytes.Clone(b), old...)), int64(len(b)+len(old)))
	if f.damage == nil || !same(entriesOf(f), states[len(states)-1]) {
		t.Errorf("older: damage %v, %v", f.damage, entriesOf(f))
	}
	seed := id{9}.seed()
	e := entry("x", "y")
	e.Seq = 100
	foreign := appendRecord(bytes.Clone(b), seed, bodySum(seed, e), typeEntry, e)
	f = scan(bytes.NewReader(foreign), int64(len(foreign)))
	if f.damage == nil || !same(entriesOf(f), states[len(states)-1]) {
		t.Errorf("foreign: damage %v, %v", f.damage, entriesOf(f))
	}
}

// paged is a file the records of which lie on several pages, the last on five.
func paged() (b []byte, entries []Entry, ends []int) {
	i := id{7}
	b = fileHeader(i)
	for n, size := range []int{100, 9000, 30, 16000} {
		e := Entry{Kind: 1, Key: fmt.Sprint("key", n), Payload: bytes.Repeat([]byte("payload "), size/8), Seq: uint64(n + 1)}
		b = appendRecord(b, i.seed(), bodySum(i.seed(), e), typeEntry, e)
		entries, ends = append(entries, e), append(ends, len(b))
	}
	return b, entries, ends
}

// zeroed is b with zeros from one place to another.
func zeroed(b []byte, from, to int) []byte {
	z := bytes.Clone(b)
	clear(z[from:to])
	return z
}

// A crash of the machine can leave the length of the file and not its pages.
func TestARecordWithAPageThatWasNeverWrittenIsATornEnd(t *testing.T) {
	b, entries, ends := paged()
	start := ends[2]
	files := map[string][]byte{"all of it": zeroed(b, start, len(b))}
	for at := start + page - start%page; at < len(b); at += page {
		files[fmt.Sprint("one page at ", at)] = zeroed(b, at, min(at+page, len(b)))
		files[fmt.Sprint("all from ", at)] = zeroed(b, at, len(b))
	}
	for name, file := range files {
		for _, end := range []int{0, 1, 10_000} { // room that was given to the file and not used
			file := append(bytes.Clone(file), make([]byte, end)...)
			f := scan(bytes.NewReader(file), int64(len(file)))
			if f.damage != nil || f.torn != int64(len(file)-start) || !same(entriesOf(f), entries[:3]) {
				t.Errorf("%s, %d more: damage %v, torn %d, %d entries", name, end, f.damage, f.torn, len(f.live))
			}
		}
	}
}

func TestZerosThatNoCrashLeavesAreDamage(t *testing.T) {
	b, entries, ends := paged()
	at := ends[2] + 2*page - ends[2]%page // where the last record's third page begins
	for name, tt := range map[string]struct {
		file []byte
		want int // entries before it
	}{
		"half a page":                      {zeroed(b, at, at+page/2), 3},
		"the end of a page":                {zeroed(b, at+1, at+page), 3},
		"a page, and something at the end": {append(zeroed(b, at, len(b)), 0, 0, 1), 3},
		"a page of an earlier record":      {zeroed(b, page, 2*page), 1},
		"the head of an earlier record":    {zeroed(b, ends[1], ends[2]), 2},
	} {
		f := scan(bytes.NewReader(tt.file), int64(len(tt.file)))
		if f.damage == nil || f.torn != 0 || !same(entriesOf(f), entries[:tt.want]) {
			t.Errorf("%s: damage %v, torn %d, %d entries", name, f.damage, f.torn, len(f.live))
		}
	}
}

// FuzzDamage bends a file that is whole: what is returned is always one of its
// states, a record that is all there is never dropped in silence, and a file that
// only ends too early is never called damaged.
func FuzzDamage(f *testing.F) {
	b, entries, ends := paged()
	f.Add(uint32(len(b)-1), byte(1), uint32(len(b)), uint16(0))
	f.Add(uint32(40), byte(0x80), uint32(len(b)), uint16(5))
	f.Add(uint32(len(b)-20), byte(0), uint32(len(b)-7), uint16(0))
	f.Add(uint32(ends[2]), byte(0xff), uint32(ends[2]+recordLen), uint16(9000))
	f.Fuzz(func(t *testing.T, at uint32, flip byte, cut uint32, zeros uint16) {
		n := headerLen + int(cut)%(len(b)-headerLen+1)
		bent := headerLen + int(at)%(len(b)-headerLen)
		file := bytes.Clone(b)
		file[bent] ^= flip
		file = append(file[:n], make([]byte, zeros)...)
		got := scan(bytes.NewReader(file), int64(len(file)))
		intact := n // what is as it was
		if flip != 0 {
			intact = min(n, bent)
		}
		whole, exact := slices.BinarySearch(ends, intact)
		if exact {
			whole++
		}
		for whole < len(ends) && ends[whole] <= len(file) && bytes.Equal(file[:ends[whole]], b[:ends[whole]]) {
			whole++ // the zeros were there before, or what was bent was cut off
		}
		if !same(entriesOf(got), entries[:whole]) {
			t.Fatalf("%d entries, want %d", len(got.live), whole)
		}
		began := headerLen
		if whole > 0 {
			began = ends[whole-1]
		}
		if whole < len(ends) && n >= ends[whole] && got.damage == nil {
			t.Errorf("record %d is all there and was dropped: bent at %d, torn %d", whole, bent-began, got.torn)
		}
		if (flip == 0 || bent >= n) && zeros == 0 && got.damage != nil {
			t.Errorf("cut at %d: %v", n-began, got.damage)
		}
		if got.damage != nil && got.torn != 0 || got.damage == nil && got.torn != int64(len(file)-began) {
			t.Errorf("damage %v, torn %d of %d", got.damage, got.torn, len(file)-began)
		}
	})
}

func FuzzScan(f *testing.F) {
	b, _, _ := sample(f)
	f.Add(b)
	f.Add(b[:50])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := scan(bytes.NewReader(b), int64(len(b)))
		for _, p := range got.live {
			if _, _, err := readRaw(bytes.NewReader(b), got.id.seed(), keyed{p.Key, p.item}); err != nil {
				t.Errorf("an entry that is not in the file: %v", err)
			}
		}
		if got.torn < 0 || got.torn > int64(len(b)) {
			t.Errorf("torn %d of %d", got.torn, len(b))
		}
	})
}
