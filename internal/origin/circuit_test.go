package origin

import (
	"testing"
	"time"
)

func fails(c *Circuit, key uint64, now int64) Change {
	change, _ := c.Ended(Leave{}, Result{Key: key, Failed: true}, now)
	return change
}

func succeeds(c *Circuit, key uint64, now int64) Change {
	change, _ := c.Ended(Leave{began: now}, Result{Key: key}, now)
	return change
}

func TestACircuitOpensWhenMostKeysFail(t *testing.T) {
	count := func(from, to, sign int) (keys []int) {
		for i := from; i <= to; i++ {
			keys = append(keys, sign*i)
		}
		return keys
	}
	for _, tt := range []struct {
		name string
		keys []int // a negative one has succeeded
		want bool
	}{
		{"one key, often", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, false},
		{"seven keys", count(1, 7, 1), false},
		{"eight keys", count(1, 8, 1), true},
		{"eight of sixteen", append(count(11, 18, -1), count(1, 8, 1)...), false},
		{"nine of seventeen", append(count(11, 18, -1), count(1, 9, 1)...), true},
		{"eight that came back", append(count(1, 7, 1), -1, 8), false},
		{"31 of many, one after the other", append(count(100, 500, -1), count(1, 31, 1)...), false},
		{"32 of many, one after the other", append(count(100, 500, -1), count(1, 32, 1)...), true},
		{"of many, one between", append(append(count(100, 500, -1), count(1, 31, 1)...), -100, 32), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCircuit(first)
			got := false
			for _, k := range tt.keys {
				if k > 0 {
					got = fails(c, uint64(k), 100) == Opened || got
				} else {
					succeeds(c, uint64(-k), 100)
				}
			}
			if got != tt.want {
				t.Errorf("it opens: %v", got)
			}
			if c.recent.mostFail(c.successes, int64(lately)+101) {
				t.Error("it counts what is long ago")
			}
			if len(c.recent.keys) > most {
				t.Errorf("%d keys are remembered", len(c.recent.keys))
			}
		})
	}
}

// Keys that fail by themselves do not count, however many there are.
func TestWhatFailsByItselfOpensNoCircuit(t *testing.T) {
	c, p := NewCircuit(first), NewPauses(first)
	name := func(i int) string { return string(rune('a' + i)) }
	now := int64(0)
	succeeds(c, 1000, now)
	for range 3 {
		for i := range 20 {
			own := p.Own(name(i), c.Up())
			p.Failed(name(i), errDown, c.Up(), now)
			if change, _ := c.Ended(Leave{}, Result{Key: uint64(i), Failed: true, Own: own}, now); change == Opened && now > 0 {
				t.Fatalf("it opens at %v", time.Duration(now))
			}
			if i%5 == 4 {
				succeeds(c, uint64(2000+i), now+ms)
			}
		}
		now += int64(20 * time.Second)
	}
	for i := range 20 {
		if !p.Own(name(i), c.Up()) {
			t.Errorf("key %d is not known to fail by itself", i)
		}
	}
	p.Forget("a")
	if p.Own("a", c.Up()) {
		t.Error("a key that has succeeded is said to fail by itself")
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
		if got := fails(c, uint64(i), 0); got != want {
			t.Fatalf("failure %d: %v", i+1, got)
		}
	}
	return c
}

func TestAnOpenCircuitLetsOneLoadThroughAtATime(t *testing.T) {
	for _, failed := range []bool{false, true} {
		c := opened(t)
		if _, wait, ok := c.Ask(failed, 0); ok || wait < 75*time.Millisecond || wait > first {
			t.Errorf("leave %v, wait %v", ok, wait)
		}
		now := int64(2 * time.Second)
		probe, _, ok := c.Ask(failed, now)
		if !ok || !probe.Probe {
			t.Fatalf("after the pause: leave %v, probe %v", ok, probe.Probe)
		}
		if _, _, ok := c.Ask(failed, now); ok {
			t.Error("two probes at a time")
		}
		fails(c, 77, now) // one that began before: says nothing new
		if _, _, ok := c.Ask(failed, now); ok {
			t.Error("the end of another load let a second probe through")
		}
		c.Ended(probe, Result{Key: 1, Failed: true}, now)
		if _, wait, ok := c.Ask(failed, now); ok || wait < 150*time.Millisecond {
			t.Errorf("after a failed probe: leave %v, wait %v", ok, wait)
		}
		now += int64(2 * time.Second)
		probe, _, _ = c.Ask(failed, now)
		c.Return(probe)
		if probe, _, ok = c.Ask(failed, now); !ok || !probe.Probe {
			t.Error("a probe that was given back leaves nobody to try")
		}
		if got, _ := c.Ended(probe, Result{Key: 1}, now); got != Closed {
			t.Errorf("a probe that succeeds: %v", got)
		}
		if l, _, ok := c.Ask(failed, now); !ok || l.Probe {
			t.Error("closed, and no leave")
		}
		if got := fails(c, 1, now); got != None {
			t.Errorf("one failure after it has closed: %v", got)
		}
	}
}

// Probes of keys that fail anyhow keep nobody else from trying.
func TestAKeyThatHasNotFailedTriesFirst(t *testing.T) {
	c := opened(t)
	now := int64(2 * time.Second)
	for range 10 {
		bad, _, ok := c.Ask(true, now)
		if !ok {
			t.Fatalf("at %v no key tries", time.Duration(now))
		}
		c.Ended(bad, Result{Key: 1, Failed: true}, now)
		now += int64(4 * time.Second)
	}
	bad, _, _ := c.Ask(true, now) // it hangs
	good, _, ok := c.Ask(false, now)
	if !ok || !good.Probe {
		t.Fatal("a key that has not failed has to wait for others that have")
	}
	c.Ended(bad, Result{Key: 1, Failed: true}, now)
	now += int64(time.Minute)
	if _, _, ok := c.Ask(true, now); ok {
		t.Error("a key that has failed tries while a better one does")
	}
	c.Ended(good, Result{Key: 2000, Failed: true}, now)
	if _, wait, ok := c.Ask(false, now); ok || wait > 200*time.Millisecond {
		t.Errorf("after the first of its kind: leave %v, wait %v", ok, wait)
	}
	now += int64(500 * time.Millisecond)
	if _, _, ok := c.Ask(true, now); ok {
		t.Error("a key that has failed takes the place of one that has just been refused")
	}
	if _, _, ok = c.Ask(false, now); !ok {
		t.Error("nobody tries")
	}
}

func TestAnyLoadThatSucceedsClosesTheCircuit(t *testing.T) {
	c := opened(t)
	if since, open := c.Open(1); !open || since != 0 {
		t.Errorf("open %v since %d", open, since)
	}
	if got := succeeds(c, 3, 1); got != Closed { // it began before
		t.Errorf("a load that succeeds: %v", got)
	}
	if _, open := c.Open(1); open {
		t.Error("it is open still")
	}
}

// Nobody has loaded anything for long: nobody knows how the origin is.
func TestAnOpenCircuitThatNobodyTriesIsNotReportedForEver(t *testing.T) {
	c := opened(t)
	over := c.good.until + int64(lately)
	if _, open := c.Open(over); !open {
		t.Error("it is not reported shortly after the pause")
	}
	if _, open := c.Open(over + 1); open {
		t.Error("it is reported long after the pause, and nobody has tried since")
	}
	l, _, ok := c.Ask(false, over+1)
	if !ok || !l.Probe {
		t.Errorf("the next load is %+v, %v: want a probe", l, ok)
	}
	if _, open := c.Open(over + 1); !open {
		t.Error("it is not reported while a probe runs")
	}
	c.Ended(l, Result{Key: 1, Failed: true}, over+1)
	if _, open := c.Open(over + 1); !open {
		t.Error("it is not reported after a probe that failed")
	}
}

// The circuit closes while a probe hangs, and opens again.
func TestAProbeOfATimeBeforeKeepsNobodyFromTrying(t *testing.T) {
	c := opened(t)
	old, _, _ := c.Ask(false, 100*ms)
	succeeds(c, 3, 200*ms) // one that began before
	for i := range uint64(fewest) {
		fails(c, i, 200*ms)
	}
	probe, _, ok := c.Ask(false, 300*ms)
	if !ok || !probe.Probe {
		t.Error("nobody may try, though no probe of this time is under way")
	}
	c.Ended(old, Result{Key: 1, Failed: true}, 300*ms)
	c.Return(old)
	if _, _, ok := c.Ask(false, 400*ms); ok {
		t.Error("the end of the old probe lets a second one through")
	}
	c.Ended(probe, Result{Key: 1, Failed: true}, 400*ms)
	if _, wait, ok := c.Ask(false, 400*ms); ok || wait > 200*time.Millisecond {
		t.Errorf("after one failed probe: leave %v, wait %v", ok, wait)
	}
}

func TestAnOriginThatIsBackEndsNoPauseOfAKeyThatFailsByItself(t *testing.T) {
	p := NewPauses(first)
	at := int64(time.Hour)
	p.Failed("long ago", errDown, 0, at-2*int64(lately))
	p.Failed("long ago", errDown, 0, at)
	p.Failed("own", errDown, 0, at-ms)
	p.Failed("own", errDown, at-ms/2, at)
	p.Failed("down", errDown, at-ms/2, at)
	p.Failed("down too", errDown, at-ms, at-ms)
	p.Failed("down too", errDown, at-ms, at) // what succeeded had begun before
	p.Back(at, at+ms)
	for key, want := range map[string]bool{"long ago": true, "own": true, "down": false, "down too": false} {
		if _, refused := p.Refuse(key, at+ms); refused != want {
			t.Errorf("%s: it rests: %v, want %v", key, refused, want)
		}
	}
	p.EndAll(at + ms)
	for _, key := range []string{"long ago", "own"} {
		if r, refused := p.Refuse(key, at+ms); refused || r.Failures != 2 {
			t.Errorf("%s: %+v, %v", key, r, refused)
		}
	}
}
