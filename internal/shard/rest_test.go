package shard

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/watch"
)

func restingShard(t *testing.T) *Shard {
	t.Helper()
	st := New(Config{Mode: health.ModeStandalone, OutboxEntries: 10, OutboxBytes: 1 << 20}, clock.New())
	sh := st.one
	sh.touch()
	if sh.rests() {
		t.Fatal("it rests at once")
	}
	time.Sleep(restAfter)
	if !sh.rests() || sh.heartbeatPace() != RestEach {
		t.Fatalf("nobody uses it, and it does not rest: a barrier each %v", sh.heartbeatPace())
	}
	return sh
}

func TestWhoUsesAShardWakesIt(t *testing.T) {
	for name, use := range map[string]func(*Shard){
		"a call": (*Shard).touch,
		"a hit, at the next look": func(sh *Shard) {
			sh.Feed.Cover().Renew(sh.Clock.Now() + 1)
			sh.Feed.Cover().Covers(sh.Clock.Now())
			sh.rests()
		},
		"who waits for a barrier": func(sh *Shard) { sh.Barriers.await(); sh.rests() },
		"a denylist, for good": func(sh *Shard) {
			sh.onHeartbeat.add(listener{func() *Shard { return sh }, func(watch.Beat) {}})
			sh.rests()
		},
		"a denylist of other shards": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sh := restingShard(t)
				if use == nil {
					sh.onHeartbeat.add(listener{func() *Shard { return nil }, nil})
					if !sh.rests() {
						t.Error("it has woken")
					}
					return
				}
				use(sh)
				if sh.usage.resting.Load() || sh.heartbeatPace() >= RestEach {
					t.Errorf("it rests on: a barrier each %v", sh.heartbeatPace())
				}
				for name, wake := range map[string]chan struct{}{"barrier": sh.Barriers.kick, "feed": sh.usage.wake} {
					select {
					case <-wake:
					default:
						t.Errorf("the %s is not woken", name)
					}
				}
			})
		})
	}
}

// A use that comes while somebody decides that the shard rests is seen by one of the two.
func TestNoUseIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := restingShard(t)
		for range 500 {
			time.Sleep(restAfter)
			var wg sync.WaitGroup
			wg.Go(sh.touch)
			wg.Go(func() { sh.rests() })
			wg.Wait()
			if sh.rests() {
				t.Fatal("it rests right after a call")
			}
		}
	})
}

func TestARestIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := restingShard(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		if rested, err := sh.pauseHearing(ctx, true); !rested || err != nil || time.Since(began) != RestEach {
			t.Errorf("rested %v for %v, %v", rested, time.Since(began), err)
		}
		began = time.Now()
		if rested, _ := sh.pauseHearing(ctx, false); rested || time.Since(began) != HearEach {
			t.Errorf("a question without an answer is asked again after %v", time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			sh.touch()
		}()
		began = time.Now()
		if rested, _ := sh.pauseHearing(ctx, true); !rested || time.Since(began) != time.Second {
			t.Errorf("who uses the shard has waited %v", time.Since(began))
		}
	})
}

// Who waits for a barrier has it sent at once, and not a second time before the pace of
// those who wait for replicas: they may never take it.
func TestAWaitingCallerGetsOneBarrierAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := restingShard(t)
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { sh.Barriers.Await(ctx, nil, 7, 1) })
		synctest.Wait()
		pace := func(want time.Duration) {
			t.Helper()
			if got := sh.heartbeatPace(); got != want {
				t.Errorf("the next barrier comes after %v, want %v", got, want)
			}
		}
		pace(0)
		sh.Barriers.sends(6, true) // one that was under way
		pace(0)
		sh.Barriers.sends(7, true)
		pace(heartbeatWaited)
		wg.Go(func() { sh.Barriers.Await(ctx, nil, 8, 1) })
		synctest.Wait()
		pace(0)
		sh.Barriers.sends(0, false) // its node is the master no more
		pace(heartbeatWaited)
		leave()
		wg.Wait()
		pace(RestEach)
	})
}
