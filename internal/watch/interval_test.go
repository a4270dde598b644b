package watch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// turn waits for the next turn of p in the background and tells how long it took.
func turn(t *testing.T, p *interval) <-chan time.Duration {
	t.Helper()
	done, start := make(chan time.Duration, 1), time.Now()
	go func() {
		if p.wait(t.Context()) == nil {
			done <- time.Since(start)
		}
	}()
	synctest.Wait()
	return done
}

func TestAPaceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if took := <-turn(t, newInterval(time.Second)); took != time.Second {
			t.Errorf("the turn came after %v", took)
		}
	})
}

func TestASlowerPaceDoesNotHurryAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newInterval(time.Second)
		done := turn(t, p)
		p.set(time.Minute)
		if took := <-done; took != time.Second {
			t.Errorf("the turn under way came after %v", took)
		}
		if took := <-turn(t, p); took != time.Minute {
			t.Errorf("the next one came after %v", took)
		}
	})
}

// However often it was asked for while the worker was busy, one turn answers.
func TestATurnThatIsAskedForComesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newInterval(time.Second)
		p.now()
		p.now()
		if took := <-turn(t, p); took != 0 {
			t.Errorf("the turn came after %v", took)
		}
		if took := <-turn(t, p); took != time.Second {
			t.Errorf("the next one came after %v", took)
		}
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the supervisor is closed")
	cancel(why)
	if err := newInterval(time.Hour).wait(ctx); !errors.Is(err, why) {
		t.Errorf("wait = %v", err)
	}
}

func TestABarrierWaitsForTheReplicasThatAreWanted(t *testing.T) {
	p := newInterval(time.Second)
	if p.want(3); p.replicas() != 3 {
		t.Errorf("replicas = %d", p.replicas())
	}
}
