//go:build unix

package main

import (
	"errors"
	"testing"
	"time"
)

func TestARecordCountsWhatFailedAndWhatRedisDidNotAnswer(t *testing.T) {
	r := record{took: []time.Duration{3 * time.Millisecond, time.Millisecond, 2 * time.Millisecond}}
	r.count(false, nil)
	r.count(true, nil)
	r.count(true, errors.New("away"))
	want := told{Pairs: 3, Failed: 1, Without: 1, GivenUp: 2, P99: 3}
	if got := r.told(2); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := (&record{}).told(0); got != (told{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestSpreadIsTheMedianAndTheEnds(t *testing.T) {
	all := []told{{Pairs: 7}, {Pairs: 1}, {Pairs: 3}}
	if got := spread(all, func(t told) float64 { return float64(t.Pairs) }); got != "3 (1–7)" {
		t.Error(got)
	}
}

func TestArgumentsOutOfRangeAreTold(t *testing.T) {
	for _, args := range [][]string{{"-shares", "0"}, {"-shares", "101"}, {"-goroutines", "x"}, {"-duration", "1ms"}, {"-repeat", "0"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
