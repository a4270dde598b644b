package revoke

import (
	"strings"
	"testing"

	"github.com/evercache/evercache/internal/kit"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	h := newHasher("tokens", "")
	for _, e := range []entry{
		{key: h.key(kindID, "a"), exp: 1},
		{key: h.key(kindID, "b"), exp: 1<<32 - 1},
		{key: h.key(kindSubject, "a"), subject: true, exp: 17, cut: wholeSecond(1<<32 - 1)},
	} {
		if got, ok := parseEntry(e.member(), e.score()); !ok || got != e {
			t.Errorf("parseEntry = %v, %v, want %v", got, ok, e)
		}
		if got, ok := decode(encode(e)); !ok || got != e {
			t.Errorf("decode = %v, %v, want %v", got, ok, e)
		}
	}
	m := marker{"print", "life"}
	if got, ok := parseMarker(m.member()); !ok || got != m {
		t.Errorf("parseMarker = %v, %v", got, ok)
	}
}

func TestGarbageIsCountedAndIgnored(t *testing.T) {
	good := entry{key: key{1}, exp: 9}
	for name, tt := range map[string]struct {
		fields  []string
		number  int64
		entries int
		garbage int
	}{
		"ours":             {[]string{"n", "3", good.score(), good.member()}, 3, 1, 0},
		"nothing":          {nil, 0, 0, 1},
		"no number":        {[]string{"n", "x", good.score(), good.member()}, 0, 0, 1},
		"another field":    {[]string{"m", "3"}, 0, 0, 1},
		"odd":              {[]string{"n", "3", "9"}, 0, 0, 1},
		"a member of ours": {[]string{"n", "3", "inf", "m:x:y"}, 3, 0, 1},
		"a short member":   {[]string{"n", "3", "9", "i123"}, 3, 0, 1},
		"no score":         {[]string{"n", "3", "x", good.member(), "NaN", good.member(), "-1", good.member()}, 3, 0, 3},
		"a huge score":     {[]string{"n", "3", "1e300", good.member()}, 3, 1, 0},
	} {
		if it := parseItem("1-1", tt.fields); it.number != tt.number || len(it.entries) != tt.entries || it.garbage != tt.garbage {
			t.Errorf("%s: %+v", name, it)
		}
	}
}

// value turns bytes into what a client library could make of any reply.
func value(b *[]byte, depth int) any {
	if len(*b) == 0 {
		return nil
	}
	c := (*b)[0]
	*b = (*b)[1:]
	n := min(int(c>>3), len(*b))
	switch {
	case c&7 == 0:
		return nil
	case c&7 == 1:
		return int64(c) - 128
	case c&7 == 2:
		return float64(c) / 3
	case c&7 <= 4 && depth > 0:
		list := []any{}
		for range n {
			list = append(list, value(b, depth-1))
		}
		return list
	case c&7 == 5 && depth > 0:
		return map[string]any{"stream": value(b, depth-1)}
	}
	s := string((*b)[:n])
	*b = (*b)[n:]
	return s
}

func FuzzReplies(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x13\x0f0\x13\x8fi0123456789abcdef\x0f9"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := value(&b, 5)
		if items, err := parseStream(v); err == nil {
			follows(0, 1, items)
		}
		_, _ = parseItems(v)
		if _, es, _, err := parseScan(v); err == nil {
			for _, e := range es {
				if got, ok := parseEntry(e.member(), e.score()); !ok || got != e {
					t.Errorf("%v is written as %q and read as %v", e, e.member(), got)
				}
			}
		}
		if l, err := parseLook(v); err == nil {
			weigh(l, "print", "life")
		}
		_, _, _ = parseWhere(v)
		_ = firstError([]kit.Reply{{Value: v}}, nil, 1)
	})
}

func FuzzEntry(f *testing.F) {
	f.Add("i0123456789abcdef", "17")
	f.Add("s0123456789abcdefTTTT", "1.5")
	f.Add("m:print:life", "inf")
	f.Fuzz(func(t *testing.T, member, score string) {
		if e, ok := parseEntry(member, score); ok && (e.member() != member || e.exp == 0) {
			t.Errorf("%q, %q is read as %v", member, score, e)
		}
		if m, ok := parseMarker(member); ok && m.member() != member {
			t.Errorf("%q is read as %v", member, m)
		}
		if e, ok := decode([]byte(member)); ok && string(encode(e)) != member {
			t.Errorf("%q is decoded as %v", member, e)
		}
		if _, ok := parseEntry(member, score); ok && ours(member) {
			t.Errorf("%q is an entry and is not", member)
		}
		infoField(member, score)
		lifeOf(member, score)
	})
}

func FuzzKey(f *testing.F) {
	f.Add("a", "b")
	f.Add(strings.Repeat("a", 111), strings.Repeat("a", 112))
	h := newHasher("tokens", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		if (h.key(kindID, a) == h.key(kindID, b)) != (a == b) {
			t.Errorf("%q and %q", a, b)
		}
		if h.key(kindID, a) == h.key(kindSubject, a) {
			t.Errorf("%q is the same as an id and a subject", a)
		}
	})
}
