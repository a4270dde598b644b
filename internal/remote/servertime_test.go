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
