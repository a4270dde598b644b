package main

import (
	"strings"
	"testing"
)

func TestTheCommandLineListsEveryMistake(t *testing.T) {
	_, err := parse([]string{"-slice", "1ns", "-repeat", "0", "more"})
	for _, want := range []string{"-slice", "-repeat", "-against", "more"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}

func TestARowComparesNeighbours(t *testing.T) {
	row := rowOf(cell{"set 1 KiB", 16}, [][]sample{
		{{cpu: 1000, allocs: 2}, {cpu: 4000, allocs: 2}, {cpu: 9000, allocs: 2}},
		{{cpu: 1000, allocs: 3}, {cpu: 2000, allocs: 3}, {cpu: 3000, allocs: 3}},
	})
	if !strings.HasPrefix(row, "| set 1 KiB/16 | 4 | 2.0 | 2 | 3.0 | 2.00 (1.00–") {
		t.Error(row)
	}
}
