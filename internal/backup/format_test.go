package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// read reads a file to its end.
func read(data []byte) (records []Record, s Summary, err error) {
	in, err := NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, s, err
	}
	s.Samples = map[int]Record{}
	for {
		it, err := in.Next()
		if errors.Is(err, io.EOF) {
			return records, s, nil
		}
		if err != nil {
			return records, s, err
		}
		s.take(it)
		if it.Record != nil {
			r := *it.Record
			r.Payload = bytes.Clone(r.Payload)
			records = append(records, r)
		}
	}
}

func TestAFileIsReadAsItWasWritten(t *testing.T) {
	want := someRecords(10)
	for _, zip := range []bool{false, true} {
		got, s, err := read(file(t, zip, want[:4], nil, want[4:]))
		if err != nil || len(got) != len(want) || s.Footer.Sections != 3 || s.Expires != 6 || len(s.Samples) != 1 {
			t.Fatalf("%d records, %+v, %v", len(got), s, err)
		}
		for i := range got {
			if got[i].Key != want[i].Key || got[i].ExpireAt != want[i].ExpireAt || !bytes.Equal(got[i].Payload, want[i].Payload) || got[i].RDBVersion() != 10 {
				t.Errorf("record %d is %+v", i, got[i])
			}
		}
	}
}

// A flipped bit is found wherever it is, and a cut too. Of a compressed file too.
func TestEveryFlippedBitIsFound(t *testing.T) {
	for _, zip := range []bool{false, true} {
		data := file(t, zip, someRecords(4), someRecords(3))
		want, _, err := read(data)
		if err != nil {
			t.Fatal(err)
		}
		for at := range data {
			for _, bit := range []byte{1, 0x80} {
				bad := bytes.Clone(data)
				bad[at] ^= bit
				got, _, err := read(bad)
				if zip && err == nil && reflect.DeepEqual(got, want) {
					continue // a bit of gzip's own that means nothing
				}
				broken, ok := errors.AsType[*BrokenError](err)
				if !ok {
					t.Fatalf("byte %d, gzip %v: %v", at, zip, err)
				}
				if !zip && (broken.Offset > int64(at) || broken.Offset < int64(at)-5000) {
					t.Errorf("byte %d is found at %d: %v", at, broken.Offset, err)
				}
			}
		}
		for n := range data {
			if _, _, err := read(data[:n]); err == nil {
				t.Errorf("%d of %d bytes, gzip %v: whole", n, len(data), zip)
			}
		}
		if _, _, err := read(append(bytes.Clone(data), 'x')); err == nil {
			t.Errorf("one byte more, gzip %v: whole", zip)
		}
		if _, _, err := read(append(bytes.Clone(data), data...)); err == nil {
			t.Errorf("twice, gzip %v: whole", zip)
		}
	}
}

// frames cuts an uncompressed file in its frames; the first is the magic.
func frames(data []byte) [][]byte {
	all := [][]byte{data[:len(magic)]}
	for at := len(magic); at < len(data); {
		n := headLen + int(uint32(data[at+8])|uint32(data[at+9])<<8|uint32(data[at+10])<<16)
		all = append(all, data[at:at+n])
		at += n
	}
	return all
}

// Whole frames that are taken out, put in twice, swapped or brought from another file.
func TestFramesBelongWhereTheyAre(t *testing.T) {
	data, other := frames(file(t, false, someRecords(5))), frames(file(t, false, someRecords(5)))
	for i := 1; i < len(data); i++ {
		without := bytes.Join(append(append([][]byte{}, data[:i]...), data[i+1:]...), nil)
		twice := bytes.Join(append(append([][]byte{}, data[:i+1]...), data[i:]...), nil)
		foreign := append([][]byte{}, data...)
		foreign[i] = other[i]
		swapped := append([][]byte{}, data...)
		swapped[i], swapped[len(data)-i] = swapped[len(data)-i], swapped[i]
		for what, bad := range map[string][]byte{"without": without, "twice": twice, "foreign": bytes.Join(foreign, nil), "swapped": bytes.Join(swapped, nil)} {
			if what == "swapped" && 2*i == len(data) {
				continue
			}
			if _, _, err := read(bad); err == nil {
				t.Errorf("frame %d %s: whole", i, what)
			}
		}
	}
}

func TestWhereItIsBrokenIsTold(t *testing.T) {
	data := file(t, false, someRecords(5))
	all := frames(data)
	at := 0
	for _, f := range all[:5] {
		at += len(f)
	}
	data[at+len(all[5])-1] ^= 1 // the last byte of the third record
	_, _, err := read(data)
	broken, ok := errors.AsType[*BrokenError](err)
	if !ok || broken.Record != 3 || broken.Offset != int64(at) || broken.Key != "key-2" || strings.Contains(err.Error(), "key-2") {
		t.Errorf("%v, %+v, wanted at %d", err, broken, at)
	}
	for text, want := range map[string]string{"": "not a backup", "hello world, hello": "not a backup", "\x1f\x8bxxxxxxxxxxxxx": "unpacked", magic: "cut off"} {
		if _, _, err := read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A file of a later format is refused with a remedy.
func TestALaterFormatIsRefused(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{}, false)
	if err != nil {
		t.Fatal(err)
	}
	b.Reset()
	b.WriteString(magic)
	w.out, w.seed = &b, 0
	if err := w.frame(frameHeader, encodeMeta(Header{Format: 2, ID: make([]byte, 16)})); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(b.Bytes()); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("%v", err)
	}
}

// A length that is not true costs no memory.
func TestAFalseLengthCostsNothing(t *testing.T) {
	data := append([]byte{}, bytes.Join(frames(file(t, false, nil))[:3], nil)...)
	in, err := NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := in.Next(); err != nil {
			t.Fatal(err)
		}
	}
	data = append(data, appendHead(nil, in.seed, head{typ: frameRecord, length: MaxPayload})...)
	allocs := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, _, err := read(data); err == nil {
				b.Fatal("whole")
			}
		}
	}).AllocedBytesPerOp()
	if allocs > 8<<20 {
		t.Errorf("%d bytes", allocs)
	}
}

// A disk that is full: the error comes out, wherever it happens.
func TestAFullDiskIsAnError(t *testing.T) {
	write := func(l *limited) error {
		w, err := NewWriter(l, Header{Evercache: "test", Mode: "standalone"}, false)
		if err == nil {
			err = w.Section(Section{})
		}
		for _, r := range someRecords(2000) {
			if err == nil {
				err = w.Record(r)
			}
		}
		if err == nil {
			err = w.EndSection(0, time.Time{})
		}
		if err == nil {
			_, err = w.Close(0, 0, time.Time{})
		}
		return err
	}
	plenty := &limited{1 << 30}
	if err := write(plenty); err != nil {
		t.Fatal(err)
	}
	whole := 1<<30 - plenty.room
	for _, room := range []int{0, 100, whole / 2, whole - 1} {
		if err := write(&limited{room}); !errors.Is(err, errFull) {
			t.Errorf("%d bytes of %d: %v", room, whole, err)
		}
	}
}

var errFull = errors.New("no space left")

type limited struct{ room int }

func (l *limited) Write(b []byte) (int, error) {
	if l.room -= len(b); l.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWhatNoFileMayHoldIsRefused(t *testing.T) {
	for _, r := range []Record{{Payload: []byte("short")}, {Payload: payload("", 1), ExpireAt: -1}, {Key: strings.Repeat("k", MaxKey+1), Payload: payload("", 1)}} {
		w, err := NewWriter(io.Discard, Header{}, false)
		if err == nil {
			err = w.Section(Section{})
		}
		if err != nil {
			t.Fatal(err)
		}
		if w.Record(r) == nil {
			t.Errorf("a record with a key of %d bytes was taken", len(r.Key))
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(file(f, false, someRecords(3)))
	f.Add(file(f, true, someRecords(3), someRecords(1)))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, s, err := read(data)
		if err != nil {
			if text := err.Error(); len(text) > 1000 || strings.ContainsAny(text, "\n\x00") {
				t.Errorf("%q", text)
			}
			return
		}
		if int64(len(records)) != s.Footer.Records {
			t.Errorf("%d records, the footer says %d", len(records), s.Footer.Records)
		}
	})
}

// The reader takes what is right but for its checksums, so that the fuzzer gets behind them.
func FuzzRecord(f *testing.F) {
	f.Add(append(recordStart(Record{Key: "k", ExpireAt: 5}), payload("v", 10)...))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, ok := parseRecord(body)
		if !ok {
			return
		}
		if again := append(recordStart(r), r.Payload...); !bytes.Equal(again, body) {
			t.Errorf("%x became %x", body, again)
		}
		_ = r.RDBVersion()
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(byte(frameFooter-1), `{"records":1}`)
	f.Add(byte(frameHeader-1), `{"format":1,"id":"AAAAAAAAAAAAAAAAAAAAAA=="}`)
	f.Fuzz(func(t *testing.T, typ byte, body string) {
		for _, began := range []bool{false, true} {
			for _, inside := range []bool{false, true} {
				r := &Reader{began: began, inside: inside, body: []byte(body)}
				it, why := r.parse(1 + typ%5) // parseHead lets no other pass
				if why == "" && it == (Item{}) {
					t.Errorf("type %d, %q: nothing", 1+typ%5, body)
				}
				_ = fmt.Sprint(it)
			}
		}
	})
}
