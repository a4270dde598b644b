package main

import (
	"math"
	"testing"
	"time"
)

func TestBucketHoldsItsDurationsWithinThreePercent(t *testing.T) {
	for d := time.Duration(0); d < math.MaxInt64/2; d += 1 + d/7 {
		end := bucketEnd(bucketOf(d))
		if end < d || end-d > d/steps {
			t.Fatalf("%d is in the bucket that ends at %d", d, end)
		}
		if got := bucketOf(end); got != bucketOf(d) {
			t.Fatalf("bucketEnd(%d) = %d lies in bucket %d", bucketOf(d), end, got)
		}
		if got, want := bucketOf(end+1), bucketOf(d)+1; got != want {
			t.Fatalf("%d is in bucket %d, want %d", end+1, got, want)
		}
	}
}

func TestBucketsReachTheLongestAndTheNegativeDuration(t *testing.T) {
	var h histogram
	h.add(math.MaxInt64)
	h.add(-time.Second)
	if got := h.quantile(0); got != 0 {
		t.Errorf("lowest = %v, want 0", got)
	}
	if got := h.quantile(1); got != math.MaxInt64 {
		t.Errorf("highest = %d, want %d", got, int64(math.MaxInt64))
	}
}

func TestQuantile(t *testing.T) {
	var even, odd histogram
	for i := range 1000 {
		h := &even
		if i%2 == 1 {
			h = &odd
		}
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	even.merge(&odd)
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{
		{0, time.Microsecond},
		{0.5, 500 * time.Microsecond},
		{0.99, 990 * time.Microsecond},
		{1, 1000 * time.Microsecond},
	} {
		got := even.quantile(tt.q)
		if got < tt.want || got > tt.want+tt.want/steps {
			t.Errorf("quantile(%v) = %v, want %v", tt.q, got, tt.want)
		}
	}
	if got := new(histogram).quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing = %v, want 0", got)
	}
}
