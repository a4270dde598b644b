package revoke

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

func TestACutOffCoversTheUnitThatItIsGivenIn(t *testing.T) {
	sec := time.Unix(1764455824, 0)
	ms := func(n float64) time.Time { return sec.Add(time.Duration(n * float64(time.Millisecond))) }
	for _, tt := range []struct {
		cut, issued time.Time
		covers      bool
	}{
		{sec, sec, true},
		{sec, ms(999.9), true},
		{sec, ms(1000), false},
		{ms(300), sec, true},
		{ms(300), ms(300), true},
		{ms(300), ms(300.9), true},
		{ms(300), ms(301), false},
		{ms(300), ms(900), false},
		{ms(300.1), ms(300.1), true},
		{ms(300.1), ms(300.2), false},
		{ms(999.9999), ms(999.9999), true},
		{ms(999.9999), ms(1000), false},
		// A float of seconds is off by a part of a microsecond.
		{time.Unix(sec.Unix(), 299_999_952), ms(300), true},
		{ms(300), time.Unix(sec.Unix(), 300_000_190), true},
	} {
		cut, ok := cutoffAt(tt.cut)
		if !ok || cutoffCovers(cut, tt.issued, tt.cut, time.Minute) != tt.covers {
			t.Errorf("the cut-off %v covers %v: %v, want %v", tt.cut.Nanosecond(), tt.issued.Sub(sec), !tt.covers, tt.covers)
		}
	}
}

func TestATimeOfIssueThatIsNoneIsCovered(t *testing.T) {
	now := time.Now()
	cut, _ := cutoffAt(now.Add(-time.Hour))
	for name, issued := range map[string]time.Time{
		"zero": {}, "1970": time.Unix(0, 0), "negative": time.Unix(-1764455824, 0), "milliseconds": time.Unix(now.UnixMilli(), 0),
		"nanoseconds": time.Unix(now.UnixNano(), 0), "2106": time.Unix(1<<32, 0), "tomorrow": now.Add(24 * time.Hour),
		"largest": time.Unix(math.MaxInt64, 0), "smallest": time.Unix(math.MinInt64, 0),
	} {
		if !cutoffCovers(cut, issued, now, time.Minute) {
			t.Errorf("%s is not refused", name)
		}
	}
	if cutoffCovers(cut, now.Add(30*time.Second), now, time.Minute) {
		t.Error("a clock that is ahead within the skew is refused")
	}
}

// Processes that know of no parts of a second read a member of 21 bytes, and round
// its score up. They must refuse at least as much, for as long.
func TestWhoKnowsOfNoPartsRefusesAtLeastAsMuch(t *testing.T) {
	for range 100_000 {
		e := entry{key: key{1}, subject: true, exp: 2 + rand.Uint32N(math.MaxUint32-2), cut: rand.Uint64N(mostCutoff)}
		f, err := strconv.ParseFloat(e.score(), 64)
		if err != nil {
			t.Fatal(err)
		}
		member := e.member()
		if len(member) != 21 || uint32(math.Ceil(f)) != e.exp || wholeSecond(binary.BigEndian.Uint32([]byte(member[17:]))) < e.cut {
			t.Fatalf("%+v is written as %q, %s", e, member, e.score())
		}
		if got, ok := parseEntry(member, e.score()); !ok || got != e {
			t.Fatalf("%+v is read as %+v", e, got)
		}
		// What such a process has written, and what the journal holds.
		whole := e
		whole.cut = wholeSecond(e.second())
		if got, ok := parseEntry(member, strconv.Itoa(int(e.exp))); !ok || got != whole {
			t.Fatalf("an old %+v is read as %+v", e, got)
		}
		if got, ok := decode(encode(e)); !ok || got != whole {
			t.Fatalf("%+v is kept as %+v", e, got)
		}
	}
}

// One of two processes has the later expiry, the other the later part of the second:
// the higher score alone would lose one of them.
func TestRedisKeepsTheLaterOfEach(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := reader(t, server)
	now := uint32(time.Now().Unix())
	part := func(p uint64) uint64 { return uint64(now)*perSecond + p }
	es := []entry{
		{exp: now + 100, cut: part(300_000)},
		{exp: now + 99, cut: part(900_000)},
		{exp: now + 98, cut: part(lastMicro)},
		{exp: now + 101, cut: part(1)},
	}
	for i := range 8 {
		rand.Shuffle(len(es), func(i, j int) { es[i], es[j] = es[j], es[i] })
		want := entry{key: key{byte(i)}, subject: true}
		n := 1 + rand.N(len(es))
		for _, e := range es[:n] {
			e.key, e.subject = want.key, true
			want = want.merge(e)
			if err := s.add(t.Context(), s.m, []entry{e}, nil); err != nil {
				t.Fatal(err)
			}
		}
		got, ok := parseEntry(want.member(), fmt.Sprint(server.Do("ZSCORE", s.keys.set, want.member())))
		if !ok || got != want {
			t.Errorf("after %+v Redis has %+v, want %+v", es[:n], got, want)
		}
	}
}

// A later cut-off takes the place of an earlier one in Redis, unless another process
// has made that one live longer.
func TestALongerLifeIsNotDroppedWithAnEarlierCutOff(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := reader(t, server)
	now := uint32(time.Now().Unix())
	for _, tt := range []struct {
		exp  uint32 // of the earlier one
		kept bool
	}{{now + 100, false}, {now + 50, false}, {now + 101, true}} {
		earlier := entry{key: key{byte(tt.exp)}, subject: true, exp: tt.exp, cut: wholeSecond(now - 1)}
		later := entry{key: earlier.key, subject: true, exp: now + 100, cut: uint64(now)*perSecond + 5}
		if err := s.add(t.Context(), s.m, []entry{earlier}, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.add(t.Context(), s.m, []entry{later}, []string{earlier.member()}); err != nil {
			t.Fatal(err)
		}
		if got := server.Do("ZSCORE", s.keys.set, earlier.member()) != nil; got != tt.kept {
			t.Errorf("expiring %d s later: kept %v, want %v", int(tt.exp)-int(now+100), got, tt.kept)
		}
		if err := s.add(t.Context(), s.m, []entry{later}, []string{later.member()}); err != nil { // of its own second
			t.Fatal(err)
		}
		if server.Do("ZSCORE", s.keys.set, later.member()) == nil {
			t.Error("the later one is not there")
		}
	}
}
