package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestTheExponentIsThatOfTheSize(t *testing.T) {
	sizes := []int{10, 100, 1000, 10_000}
	for _, want := range []float64{0, 0.5, 1, 2} {
		var costs []time.Duration
		for _, n := range sizes {
			costs = append(costs, time.Duration(1000*math.Pow(float64(n), want)))
		}
		if got := exponent(sizes, costs); math.Abs(got-want) > 0.01 {
			t.Errorf("%.3f, want %v", got, want)
		}
	}
	if !math.IsNaN(exponent([]int{1, 2}, []time.Duration{0, 0})) {
		t.Error("nothing has an exponent")
	}
}

func TestARowTellsTheCostOfAKey(t *testing.T) {
	row := rowOf("SetMany", []int{10, 100}, []time.Duration{100 * time.Microsecond, 500 * time.Microsecond}, 0.7)
	if row != "| SetMany | 10 | 5 | 0.70 |\n" {
		t.Error(row)
	}
}

func TestTheCommandLineListsEveryMistake(t *testing.T) {
	_, err := parse([]string{"-sizes", "100,10,0", "-repeat", "0", "-most", "-1"})
	for _, want := range []string{"smallest first", `"0"`, "-repeat", "-most"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}
