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
	until := p.Failed("a", errDown, 0, 0)
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
	if again := p.Failed("a", errDown, 0, until); again-until < 150*ms {
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
		p.Failed(strconv.Itoa(i), errDown, 0, 0)
	}
	if p.Len() > maxFailed {
		t.Errorf("%d keys are remembered, at most %d are allowed", p.Len(), maxFailed)
	}
	for i := range 2 * maxFailed { // long after: they make room by and by
		p.Failed("new"+strconv.Itoa(i), errDown, 0, int64(time.Hour)+int64(i)*ms)
	}
	if p.Len() > maxFailed {
		t.Errorf("%d keys are remembered", p.Len())
	}
	p.ForgetAll(func(string) bool { return true })
	for i := range 1000 { // each one looks at some old ones
		p.Failed(strconv.Itoa(i), errDown, 0, int64(i)*int64(time.Minute))
	}
	if p.Len() > 50 {
		t.Errorf("%d keys are remembered, though each is loaded a minute after the one before", p.Len())
	}
}

func TestWithoutAPauseNothingIsRemembered(t *testing.T) {
	p, c := NewPauses(0), NewCircuit(0)
	for i := range 100 {
		p.Failed("a", errDown, 0, 0)
		fails(c, uint64(i), 0)
	}
	_, refused := p.Refuse("a", 0)
	_, _, ok := c.Ask(false, 0)
	if refused || !ok || p.Len() != 0 {
		t.Errorf("refused %v, leave %v, %d remembered", refused, ok, p.Len())
	}
}
