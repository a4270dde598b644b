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
		b = appendRecord(b, i.seed(), bodySum(i.seed(), e.Key, e.Payload), typeEntry, e)
		live = append(slices.DeleteFunc(slices.Clone(live), func(o Entry) bool { return o.Key == e.Key }), e)
		remember()
	}
	done := func(key string, of uint64) {
		seq++
		e := Entry{Key: key, Payload: []byte{byte(of), 0, 0, 0, 0, 0, 0, 0}, Seq: seq}
		b = appendRecord(b, i.seed(), bodySum(i.seed(), key, e.Payload), typeDone, e)
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
			if f.damage == nil && (whole < len(ends)-1 || f.torn == 0) {
				t.Fatalf("byte %d: not noticed", n)
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
	foreign := appendRecord(bytes.Clone(b), seed, bodySum(seed, e.Key, e.Payload), typeEntry, e)
	f = scan(bytes.NewReader(foreign), int64(len(foreign)))
	if f.damage == nil || !same(entriesOf(f), states[len(states)-1]) {
		t.Errorf("foreign: damage %v, %v", f.damage, entriesOf(f))
	}
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
