package origin

import (
	"errors"
	"strconv"
	"testing"
	"time"
)

const (
	ms    = int64(time.Millisecond)
	first = 100 * time.Millisecond
)

func TestAPauseDoublesAndIsBounded(t *testing.T) {
	for _, tt := range []struct {
		first    time.Duration
		failures int
		want     time.Duration // with chance 0; with chance 1 a quarter less
	}{
		{first, 1, first},
		{first, 2, 2 * first},
		{first, 6, 32 * first},
		{first, 7, 32 * first},
		{first, 1 << 30, 32 * first},
		{10 * time.Second, 4, time.Minute},
		{time.Hour, 1, time.Hour}, // who asks for an hour gets it
		{time.Hour, 9, time.Hour},
	} {
		if got := pause(tt.first, tt.failures, 0); got != tt.want {
			t.Errorf("pause(%v, %d, 0) = %v, want %v", tt.first, tt.failures, got, tt.want)
		}
		if got := pause(tt.first, tt.failures, 1); got != tt.want-tt.want/4 {
			t.Errorf("pause(%v, %d, 1) = %v, want a quarter less than %v", tt.first, tt.failures, got, tt.want)
		}
	}
}

var errDown = errors.New("down")

func TestAKeyThatFailedIsNotLoadedInItsPause(t *testing.T) {
	p := NewPauses(first)
	if _, refused := p.Refuse("a", 0); refused {
		t.Error("a key is refused before anything has failed")
	}
	until := p.Failed("a", errDown, 0)
	if until < 75*ms || until > 100*ms {
		t.Errorf("the pause is %v", time.Duration(until))
	}
	r, refused := p.Refuse("a", until-1)
	if !refused || r.Err != errDown || r.Failures != 1 || r.For != 1 {
		t.Errorf("in the pause: %+v, %v", r, refused)
	}
	if _, refused := p.Refuse("b", 0); refused {
		t.Error("another key is refused too")
	}
	if _, refused := p.Refuse("a", until); refused {
		t.Error("refused after the pause")
	}
	if again := p.Failed("a", errDown, until); again-until < 150*ms {
		t.Errorf("the second pause is %v", time.Duration(again-until))
	}
	p.Forget("a")
	if _, refused := p.Refuse("a", until); refused || p.Len() != 0 {
		t.Error("a key that was forgotten is refused")
	}
}

func TestPausesAreBounded(t *testing.T) {
	p := NewPauses(first)
	for i := range 3 * maxFailed {
		p.Failed(strconv.Itoa(i), errDown, 0)
	}
	if p.Len() > maxFailed {
		t.Errorf("%d keys are remembered, at most %d are allowed", p.Len(), maxFailed)
	}
	for i := range 2 * maxFailed { // long after: they make room by and by
		p.Failed("new"+strconv.Itoa(i), errDown, int64(time.Hour)+int64(i)*ms)
	}
	if p.Len() > maxFailed {
		t.Errorf("%d keys are remembered", p.Len())
	}
	p.ForgetAll(func(string) bool { return true })
	for i := range 1000 { // each one looks at some old ones
		p.Failed(strconv.Itoa(i), errDown, int64(i)*int64(time.Minute))
	}
	if p.Len() > 50 {
		t.Errorf("%d keys are remembered, though each is loaded a minute after the one before", p.Len())
	}
}

func TestWithoutAPauseNothingIsRemembered(t *testing.T) {
	p, c := NewPauses(0), NewCircuit(0)
	for i := range 100 {
		p.Failed("a", errDown, 0)
		c.Ended(Leave{}, uint64(i), true, 0)
	}
	_, refused := p.Refuse("a", 0)
	_, _, ok := c.Ask(0)
	if refused || !ok || p.Len() != 0 {
		t.Errorf("refused %v, leave %v, %d remembered", refused, ok, p.Len())
	}
}

func TestACircuitOpensWhenMostKeysFail(t *testing.T) {
	fails := func(keys ...int) (rs []result) {
		for i, k := range keys {
			rs = append(rs, result{key: uint64(max(k, -k)), failed: k > 0, at: int64(i)})
		}
		return rs
	}
	for _, tt := range []struct {
		name string
		rs   []result
		want bool
	}{
		{"one key, often", fails(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), false},
		{"seven keys", fails(1, 2, 3, 4, 5, 6, 7), false},
		{"eight keys", fails(1, 2, 3, 4, 5, 6, 7, 8), true},
		{"eight of sixteen", fails(1, -11, 2, -12, 3, -13, 4, -14, 5, -15, 6, -16, 7, -17, -18, 8), false},
		{"nine of seventeen", fails(1, -11, 2, -12, 3, -13, 4, -14, 5, -15, 6, -16, 7, -17, -18, 8, 9), true},
		{"eight that came back", fails(1, 2, 3, 4, 5, 6, 7, -1, 8), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := mostFail(tt.rs, 100); got != tt.want {
				t.Errorf("mostFail = %v", got)
			}
			if mostFail(tt.rs, int64(lately)+100) {
				t.Error("it counts what is long ago")
			}
		})
	}
}

func opened(t *testing.T) *Circuit {
	t.Helper()
	c := NewCircuit(first)
	for i := range fewest {
		want := None
		if i == fewest-1 {
			want = Opened
		}
		if got := c.Ended(Leave{}, uint64(i), true, 0); got != want {
			t.Fatalf("failure %d: %v", i+1, got)
		}
	}
	return c
}

func TestAnOpenCircuitLetsOneLoadThroughAtATime(t *testing.T) {
	c := opened(t)
	if _, wait, ok := c.Ask(0); ok || wait < 75*time.Millisecond || wait > first {
		t.Errorf("leave %v, wait %v", ok, wait)
	}
	probe, _, ok := c.Ask(100 * ms)
	if !ok || !probe.Probe {
		t.Fatalf("after the pause: leave %v, probe %v", ok, probe.Probe)
	}
	if _, _, ok := c.Ask(200 * ms); ok {
		t.Error("two probes at a time")
	}
	c.Ended(Leave{}, 77, true, 200*ms) // one that began before: says nothing new
	if _, _, ok := c.Ask(200 * ms); ok {
		t.Error("the end of another load let a second probe through")
	}
	c.Ended(probe, 1, true, 200*ms)
	if _, wait, ok := c.Ask(200 * ms); ok || wait < 150*time.Millisecond {
		t.Errorf("after a failed probe: leave %v, wait %v", ok, wait)
	}
	probe, _, _ = c.Ask(400 * ms)
	c.Return(probe)
	if probe, _, ok = c.Ask(400 * ms); !ok || !probe.Probe {
		t.Error("a probe that was given back leaves nobody to try")
	}
	if got := c.Ended(probe, 1, false, 500*ms); got != Closed {
		t.Errorf("a probe that succeeds: %v", got)
	}
	if l, _, ok := c.Ask(500 * ms); !ok || l.Probe {
		t.Error("closed, and no leave")
	}
	if got := c.Ended(Leave{}, 1, true, 500*ms); got != None {
		t.Errorf("one failure after it has closed: %v", got)
	}
}

func TestAnyLoadThatSucceedsClosesTheCircuit(t *testing.T) {
	c := opened(t)
	if since, open := c.Open(1); !open || since != 0 {
		t.Errorf("open %v since %d", open, since)
	}
	if got := c.Ended(Leave{}, 3, false, 1); got != Closed { // it began before
		t.Errorf("a load that succeeds: %v", got)
	}
	if _, open := c.Open(1); open {
		t.Error("it is open still")
	}
}

// Nobody has loaded anything for long: nobody knows how the origin is.
func TestAnOpenCircuitThatNobodyTriesIsNotReportedForEver(t *testing.T) {
	c := opened(t)
	over := c.until + int64(lately)
	if _, open := c.Open(over); !open {
		t.Error("it is not reported shortly after the pause")
	}
	if _, open := c.Open(over + 1); open {
		t.Error("it is reported long after the pause, and nobody has tried since")
	}
	l, _, ok := c.Ask(over + 1)
	if !ok || !l.Probe {
		t.Errorf("the next load is %+v, %v: want a probe", l, ok)
	}
	if _, open := c.Open(over + 1); !open {
		t.Error("it is not reported while a probe runs")
	}
	c.Ended(l, 1, true, over+1)
	if _, open := c.Open(over + 1); !open {
		t.Error("it is not reported after a probe that failed")
	}
}

// The circuit closes while a probe hangs, and opens again.
func TestAProbeOfATimeBeforeKeepsNobodyFromTrying(t *testing.T) {
	c := opened(t)
	old, _, _ := c.Ask(100 * ms)
	c.Ended(Leave{}, 3, false, 200*ms) // one that began before
	for i := range uint64(fewest) {
		c.Ended(Leave{}, i, true, 200*ms)
	}
	probe, _, ok := c.Ask(300 * ms)
	if !ok || !probe.Probe {
		t.Error("nobody may try, though no probe of this time is under way")
	}
	c.Ended(old, 1, true, 300*ms)
	c.Return(old)
	if _, _, ok := c.Ask(400 * ms); ok {
		t.Error("the end of the old probe lets a second one through")
	}
	c.Ended(probe, 1, true, 400*ms)
	if _, wait, ok := c.Ask(400 * ms); ok || wait > 200*time.Millisecond {
		t.Errorf("after one failed probe: leave %v, wait %v", ok, wait)
	}
}
