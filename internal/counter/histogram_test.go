package counter

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestADurationIsCountedUpToItsBound(t *testing.T) {
	var bounds Histogram
	if len(bounds.counts) != len(durationBounds)+1 || !slices.IsSorted(durationBounds) {
		t.Fatalf("%d counts for %d bounds", len(bounds.counts), len(durationBounds))
	}
	tests := []struct {
		d    time.Duration
		want int // the index of its count
	}{
		{0, 0},
		{5 * time.Microsecond, 0},
		{5*time.Microsecond + 1, 1},
		{time.Millisecond, 6},
		{time.Second, len(durationBounds) - 1},
		{time.Second + 1, len(durationBounds)},
		{time.Hour, len(durationBounds)},
	}
	for _, tt := range tests {
		var h Histogram
		h.Observe(tt.d)
		s := h.Snapshot()
		if s.Counts[tt.want] != 1 || sumOf(s.Counts) != 1 || s.Sum != tt.d.Seconds() {
			t.Errorf("%v: %v, sum %v, want it at %d", tt.d, s.Counts, s.Sum, tt.want)
		}
	}
}

func TestAnUnknownLabelIsCountedAsOther(t *testing.T) {
	l := NewLabelled("a", "b")
	l.Add("a")
	l.Add("never heard of")
	if got := fmt.Sprint(l.Snapshot()); got != "map[a:1 b:0 other:1]" {
		t.Errorf("snapshot %s", got)
	}
}

func sumOf(ns []uint64) (sum uint64) {
	for _, n := range ns {
		sum += n
	}
	return sum
}
