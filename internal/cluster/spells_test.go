package cluster

import (
	"testing"

	"github.com/evercache/evercache/internal/slot"
)

func TestSpells(t *testing.T) {
	var s spells
	set := func(first, last uint16) *slot.Set { return slot.SetOf(slot.Range{First: first, Last: last}) }
	s.update(set(0, 9), at(0))
	s.update(set(5, 19), at(10)) // 0-4 are over, 10-19 are new
	if all := s.all(); all.String() != "5-19" {
		t.Errorf("all: %s", &all)
	}
	if got, since := s.before(at(5)); got.String() != "5-9" || !since.Equal(at(0)) {
		t.Errorf("before 5: %s since %v", &got, since)
	}
	if got, _ := s.before(at(10)); got.String() != "5-19" {
		t.Errorf("before 10: %s", &got)
	}
	for i := range uint16(100) {
		s.update(set(5, 19+i), at(float64(20+i)))
	}
	if all := s.all(); len(s) > maxSpells || all.String() != "5-118" {
		t.Errorf("%d spells of %s", len(s), &all)
	}
	s.update(&slot.Set{}, at(200))
	if len(s) != 0 {
		t.Errorf("%d spells of nothing", len(s))
	}
}
