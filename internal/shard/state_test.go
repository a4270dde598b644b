package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/health"
)

func TestEveryEventInEveryState(t *testing.T) {
	events := []struct {
		ev   stateEvent
		name string
		// the state after it, from Degraded, Recovering, Connected and Closed
		to [4]health.State
	}{
		{masterVerified, "a master is verified", [4]health.State{health.Recovering, health.Recovering, health.Connected, health.Closed}},
		{masterLost, "the master is lost", [4]health.State{health.Degraded, health.Degraded, health.Degraded, health.Closed}},
		{writesPending, "a write is kept", [4]health.State{health.Degraded, health.Recovering, health.Recovering, health.Closed}},
		{writesReplayed, "nothing is left to send", [4]health.State{health.Degraded, health.Connected, health.Connected, health.Closed}},
		{clientClosed, "the client is closed", [4]health.State{health.Closed, health.Closed, health.Closed, health.Closed}},
	}
	if len(events) != int(clientClosed)+1 {
		t.Error("an event is missing in this table")
	}
	for _, e := range events {
		for from, want := range e.to {
			if got := nextState(health.State(from), e.ev); got != want {
				t.Errorf("%v, %s: %v, want %v", health.State(from), e.name, got, want)
			}
		}
	}
}

func TestStatesHaveTheirNamesInJSON(t *testing.T) {
	got, err := json.Marshal([]any{health.Degraded, health.Recovering, health.Connected, health.Closed, health.State(9), health.ModeStandalone, health.ModeMemoryOnly})
	if want := `["degraded","recovering","connected","closed","unknown(9)","standalone","memory"]`; string(got) != want || err != nil {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

// deliverIn runs the delivery of a status for as long as the bubble lives.
func deliverIn(t *testing.T, s *status) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.deliver(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func TestChangesOfStateAreToldInOrderWithTheirCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		s := newStatus(Config{Log: quiet, Changed: func(ch health.Change) {
			told = append(told, fmt.Sprintf("%v to %v at %v: %v", ch.From, ch.To, ch.At.UTC().Format("04:05"), ch.Cause))
		}})
		deliverIn(t, s)
		down := errors.New("down")
		for _, ev := range []stateEvent{masterVerified, writesReplayed, masterLost, masterLost, masterVerified, writesReplayed, clientClosed, masterVerified} {
			var cause error
			if ev == masterLost {
				cause = down
			}
			s.Apply(ev, cause)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		want := []string{
			"degraded to recovering at 00:00: <nil>",
			"recovering to connected at 00:01: <nil>",
			"connected to degraded at 00:02: down",
			"degraded to recovering at 00:04: <nil>",
			"recovering to connected at 00:05: <nil>",
			"connected to closed at 00:06: <nil>",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told:\n%q\nwant:\n%q", told, want)
		}
	})
}

// A callback that hangs must hold nobody up; what it misses is counted.
func TestASlowCallbackLosesTheOldestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var told []health.Change
		s := newStatus(Config{Log: quiet, Changed: func(ch health.Change) {
			<-release
			told = append(told, ch)
		}})
		deliverIn(t, s)
		synctest.Wait()
		const rounds = eventQueue // each makes two changes
		for range rounds {
			s.Apply(masterVerified, nil)
			s.Apply(masterLost, nil)
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		if len(told) != eventQueue+1 { // and the one that hung
			t.Errorf("%d changes were told, want %d", len(told), eventQueue+1)
		}
		if lost := s.Dropped.Load(); lost != 2*rounds-uint64(len(told)) {
			t.Errorf("%d of %d are counted as lost, %d were told", lost, 2*rounds, len(told))
		}
		if last := told[len(told)-1]; last.To != health.Degraded {
			t.Errorf("the last that was told is %v", last.To)
		}
	})
}

func TestWhatIsQueuedAtCloseIsToldStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		s := newStatus(Config{Log: quiet, Changed: func(health.Change) { told++ }})
		s.Apply(masterVerified, nil)
		s.Apply(clientClosed, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.deliver(ctx)
		if told != 2 {
			t.Errorf("%d changes were told, want 2", told)
		}
	})
}

func TestTheTimeWithoutAMasterIsAddedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(Config{Log: quiet})
		steps := []struct {
			ev   stateEvent
			want time.Duration // in all, a second later
		}{
			{masterVerified, 2 * time.Second}, // recovering counts
			{writesReplayed, 2 * time.Second},
			{writesPending, 3 * time.Second},
			{writesReplayed, 3 * time.Second},
			{masterLost, 4 * time.Second},
			{clientClosed, 4 * time.Second},
		}
		time.Sleep(time.Second)
		for _, step := range steps {
			s.Apply(step.ev, nil)
			time.Sleep(time.Second)
			if _, got := s.Totals(); got != step.want {
				t.Errorf("after event %d: %v, want %v", step.ev, got, step.want)
			}
		}
		transitions, _ := s.Totals()
		for change, want := range map[[2]health.State]uint64{
			{health.Degraded, health.Recovering}: 1, {health.Recovering, health.Connected}: 2, {health.Connected, health.Recovering}: 1,
			{health.Connected, health.Degraded}: 1, {health.Degraded, health.Closed}: 1, {health.Recovering, health.Degraded}: 0, {health.Connected, health.Closed}: 0, {health.Recovering, health.Closed}: 0,
		} {
			if got, shown := transitions[Transition(change[0], change[1])]; got != want || !shown {
				t.Errorf("%v: %d (shown: %v), want %d", change, got, shown, want)
			}
		}
		if len(transitions) != 8 {
			t.Errorf("%d transitions are shown, want all 8 that can occur", len(transitions))
		}
	})
}

// A write that is kept at the very moment at which a replay ends.
func TestARecoveryEndsOnlyWhenNothingWaits(t *testing.T) {
	s := newStatus(Config{Log: quiet})
	s.Apply(masterVerified, nil)
	s.replayed(func() bool { return false })
	if got := s.Get().State; got != health.Recovering {
		t.Errorf("with a write that waits: %v", got)
	}
	s.replayed(func() bool { return true })
	if got := s.Get().State; got != health.Connected {
		t.Errorf("with none: %v", got)
	}
}

var quiet = slog.New(slog.DiscardHandler)

// An outage that begins while a kept write is being sent is logged like any other.
func TestTheBeginOfAnOutageIsAlwaysLogged(t *testing.T) {
	var lines strings.Builder
	s := newStatus(Config{Log: slog.New(slog.NewTextHandler(&lines, nil))})
	for _, ev := range []stateEvent{masterVerified, writesReplayed, writesPending} {
		s.Apply(ev, nil)
	}
	before := lines.Len()
	s.Apply(writesReplayed, nil) // a write that took a second try is no news
	s.Apply(writesPending, nil)
	if lines.Len() != before {
		t.Errorf("too much is logged: %s", lines.String()[before:])
	}
	s.Apply(masterLost, errors.New("down"))
	if got := lines.String()[before:]; !strings.Contains(got, "level=WARN") || !strings.Contains(got, "from=recovering to=degraded") {
		t.Errorf("logged %q", got)
	}
}
