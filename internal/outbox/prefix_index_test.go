package outbox

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The index finds what one finds who looks at each prefix.
func TestPrefixesAreFoundAsByLookingAtEach(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	text := func() string {
		b := make([]byte, r.IntN(5))
		for i := range b {
			b[i] = "ab\xff"[r.IntN(3)]
		}
		return string(b)
	}
	index, naive := newPrefixIndex[int](), map[string]int{}
	for i := range 3000 {
		switch p := text(); r.IntN(3) {
		case 0:
			index.remove(p)
			delete(naive, p)
		default:
			index.put(p, i, r.IntN(2) == 0)
			naive[p] = i
		}
		key := text() + text()
		var over, wantOver, under, wantUnder []string
		bytes := int64(0)
		for v := range index.over(key) {
			for p, at := range index.all() {
				if *at == *v {
					over = append(over, p)
				}
			}
		}
		under = index.under(key[:min(2, len(key))])
		for p := range naive {
			bytes += prefixCost(p)
			if strings.HasPrefix(key, p) {
				wantOver = append(wantOver, p)
			}
			if strings.HasPrefix(p, key[:min(2, len(key))]) {
				wantUnder = append(wantUnder, p)
			}
		}
		slices.SortFunc(wantOver, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
		slices.Sort(wantUnder)
		if !slices.Equal(over, wantOver) || !slices.Equal(under, wantUnder) {
			t.Fatalf("step %d, %q (-want +got):\n%s", i, key, gocmp.Diff([][]string{wantOver, wantUnder}, [][]string{over, under}))
		}
		if index.len() != len(naive) || index.bytes != bytes {
			t.Fatalf("step %d: %d with %d bytes, want %d with %d", i, index.len(), index.bytes, len(naive), bytes)
		}
	}
}

func TestTheClosestPrefixesBecomeOne(t *testing.T) {
	index := newPrefixIndex[int]()
	for _, p := range []string{"c:a:1", "c:a:2", "c:b:1", "c:bcd:1", "c:bcd:2", "c:bcd:3", "d:"} {
		index.put(p, 0, false)
	}
	for n, want := range map[int][][]string{
		0: nil,
		2: {{"c:bcd:1", "c:bcd:2", "c:bcd:3"}},
		3: {{"c:a:1", "c:a:2"}, {"c:bcd:1", "c:bcd:2", "c:bcd:3"}},
		9: {{"c:a:1", "c:a:2", "c:b:1", "c:bcd:1", "c:bcd:2", "c:bcd:3", "d:"}},
	} {
		if diff := gocmp.Diff(want, index.closest(n), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%d fewer (-want +got):\n%s", n, diff)
		}
	}
}
