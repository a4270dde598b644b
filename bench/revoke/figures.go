package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// spread is "median (min–max)" of what repetitions came to, or the one number
// where they print alike.
func spread(values []float64) string {
	if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
		return "–"
	}
	s := slices.Sorted(slices.Values(values))
	median := s[len(s)/2]
	if len(s)%2 == 0 {
		median = (s[len(s)/2-1] + median) / 2
	}
	low, high := digits(s[0]), digits(s[len(s)-1])
	if low == high {
		return digits(median)
	}
	return fmt.Sprintf("%s (%s–%s)", digits(median), low, high)
}

// digits prints a number with about three digits that matter.
func digits(f float64) string {
	switch {
	case f == 0:
		return "0"
	case math.Abs(f) >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case math.Abs(f) >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// quantile is the smallest value below or at which a share q lies; the values
// are sorted.
func quantile[T cmp.Ordered](sorted []T, q float64) (v T) {
	if len(sorted) == 0 {
		return v
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// collect picks one figure of each sample.
func collect[S any](samples []S, of func(S) float64) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = of(s)
	}
	return out
}
