package main

import (
	"math"
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []float64
		want spread
	}{
		{"one value", []float64{7}, spread{7, 7, 7}},
		{"odd number of values, in no order", []float64{9, 1, 5}, spread{5, 1, 9}},
		{"even number: the middle of the two middle ones", []float64{4, 1, 2, 100}, spread{3, 1, 100}},
	} {
		in := slices.Clone(tt.in)
		if got := spreadOf(tt.in); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if !slices.Equal(in, tt.in) {
			t.Errorf("%s: the values were put into another order", tt.name)
		}
	}
	if got := spreadOf(nil); !math.IsNaN(got.Median) {
		t.Errorf("spread of nothing = %v", got)
	}
}

func TestRatiosPairRepetitions(t *testing.T) {
	// The second repetition ran on a machine half as fast: the ratio stays.
	got := ratios([]float64{100, 50}, []float64{200, 100})
	if want := []float64{0.5, 0.5}; !slices.Equal(got, want) {
		t.Errorf("ratios = %v, want %v", got, want)
	}
	if got := ratios([]float64{1, 2, 3}, []float64{0, 1}); !slices.Equal(got, []float64{2}) {
		t.Errorf("ratios without a partner = %v, want [2]", got)
	}
}

func TestSpreadText(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   spread
		want string
	}{
		{"all alike", spread{0, 0, 0}, "0.00"},
		{"alike in print", spread{57.04, 57.01, 57.04}, "57.0"},
		{"spread out", spread{113878, 107284.4, 114623}, "113878 (107284–114623)"},
		{"nothing", spreadOf(nil), "–"},
	} {
		if got := tt.in.text(digits); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
