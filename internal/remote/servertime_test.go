package remote

import (
	"testing"
	"time"
)

func TestTheServersClockIsSharpenedBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	b := startBed(t)
	o := *b.n.clock.ahead.Load()
	o.low, o.high = o.low-time.Minute, o.high+time.Minute // as an answer does that took so long
	b.n.clock.ahead.Store(&o)
	b.n.Sharpen(t.Context())
	if blur := b.n.Blur(); blur > 10_000 {
		t.Errorf("the clock is known to %d ms", blur)
	}
	low, high := b.n.ServerTime(time.Now())
	if now := b.time(); now < low || now > high+10_000 {
		t.Errorf("the server says %d, want %d to %d", now, low, high)
	}
}

func TestHowLongTheServersClockIsSharpened(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		blur  int64
		spent time.Duration
		took  []time.Duration
		want  bool
	}{
		"known well":                        {2, 0, nil, false},
		"not known well":                    {3, 29 * ms, []time.Duration{10 * ms}, true},
		"known well enough, after a while":  {10, 30 * ms, []time.Duration{9 * ms, 19 * ms}, false},
		"known badly, one answer":           {60, 55 * ms, []time.Duration{55 * ms}, true},
		"known badly, a busy machine":       {30, 90 * ms, []time.Duration{61 * ms, 29 * ms}, true},
		"known badly, a long line":          {30, 60 * ms, []time.Duration{29 * ms, 31 * ms}, false},
		"known badly, a busy machine, late": {30, 250 * ms, []time.Duration{190 * ms, 29 * ms}, false},
	} {
		var s sharpening
		for _, d := range tt.took {
			s.took(d)
		}
		if got := s.goesOn(tt.blur, tt.spent); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
