package remote

import (
	"testing"
	"time"
)

func TestShifted(t *testing.T) {
	at := time.Now()
	s := func(after, low, high time.Duration) shift { return shift{at.Add(after * time.Second), low, high} }
	for _, tt := range []struct {
		name   string
		shifts []shift
		want   Shifted
	}{
		{"nothing has jumped", nil, Shifted{}},
		{"set back since", []shift{s(5, -310, -290)}, Shifted{Low: -310, High: -290, Fell: -310}},
		{"set ahead since", []shift{s(5, 290, 310)}, Shifted{Low: 290, High: 310, Rose: 310}},
		{"back and ahead again", []shift{s(5, -310, -290), s(6, 290, 310)}, Shifted{Low: -20, High: 20, Fell: -310, Rose: 20}},
		{"set ahead before", []shift{s(-5, 290, 310)}, Shifted{}},
		{"set back shortly before", []shift{s(-5, -6*time.Second, -5*time.Second)}, Shifted{Before: 6 * time.Second}},
		{"set back long before", []shift{s(-7, -6*time.Second, -5*time.Second)}, Shifted{}},
	} {
		if got := shifted(tt.shifts, at); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestOnlyAContradictionIsAJump(t *testing.T) {
	at := time.Now()
	last := &offset{low: 100, high: 110, at: at}
	for _, tt := range []struct {
		low, high time.Duration
		jumped    bool
	}{{105, 115, false}, {110, 120, false}, {111, 120, true}, {90, 100, false}, {90, 99, true}, {0, 200, false}} {
		s, jumped := shiftOf(last, &offset{low: tt.low, high: tt.high, at: at})
		if jumped != tt.jumped {
			t.Errorf("from 100–110 to %d–%d: %+v, %v", tt.low, tt.high, s, jumped)
		}
	}
	if _, jumped := shiftOf(last, &offset{low: 111, high: 120, at: at.Add(time.Second)}); jumped {
		t.Error("drift is taken for a jump")
	}
}

func TestJumpsAreBounded(t *testing.T) {
	c, at := new(Clocks), time.Now()
	low, sum := time.Duration(0), time.Duration(0)
	for i := range 10 * maxShifts {
		c.heard(&offset{low: low, high: low, at: at})
		if i > 0 {
			sum += -time.Second
		}
		low -= time.Second
	}
	if got := c.Since(at.Add(-time.Second)); len(c.shifts) > maxShifts || got.Fell != sum {
		t.Errorf("%d jumps, together %v, want %v", len(c.shifts), got.Fell, sum)
	}
	c.heard(&offset{low: low, high: low, at: at.Add(3 * shiftLife)})
	if len(c.shifts) > 2 {
		t.Errorf("%d jumps are remembered for ever", len(c.shifts))
	}
	(*Clocks)(nil).heard(&offset{})
	if (*Clocks)(nil).Since(at) != (Shifted{}) {
		t.Error("no clocks have jumped")
	}
}
