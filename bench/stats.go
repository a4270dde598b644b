package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// spread is what repetitions of one measurement came to.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf has NaN for no values.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	s := slices.Sorted(slices.Values(values))
	mid := len(s) / 2
	median := s[mid]
	if len(s)%2 == 0 {
		median = (s[mid-1] + s[mid]) / 2
	}
	return spread{median, s[0], s[len(s)-1]}
}

// ratios divides what was measured in the same repetition, so that a machine
// that was slow for a while was so for both.
func ratios(of, by []float64) []float64 {
	out := make([]float64, 0, len(of))
	for i := range min(len(of), len(by)) {
		if by[i] > 0 {
			out = append(out, of[i]/by[i])
		}
	}
	return out
}

// text is "median (min–max)", or the one number where they print alike.
func (s spread) text(format func(float64) string) string {
	if math.IsNaN(s.Median) {
		return "–"
	}
	median, low, high := format(s.Median), format(s.Min), format(s.Max)
	if low == high {
		return median
	}
	return fmt.Sprintf("%s (%s–%s)", median, low, high)
}

// digits prints a number with about three digits that matter.
func digits(f float64) string {
	switch {
	case math.Abs(f) >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case math.Abs(f) >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// whole prints a number without a fraction, tenths and hundredths one and two
// digits of it.
func whole(f float64) string      { return strconv.FormatFloat(f, 'f', 0, 64) }
func tenths(f float64) string     { return strconv.FormatFloat(f, 'f', 1, 64) }
func hundredths(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
