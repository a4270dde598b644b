package watch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/redistest"
)

func addr(port int) sentinel.Addr { return sentinel.Addr{Host: "127.0.0.1", Port: uint16(port)} }

// idle is a supervisor whose workers have nothing to do but to wait.
func idle(t *testing.T) *supervisor {
	t.Helper()
	d := newSupervisor(Config{Master: "shop", Log: slog.New(slog.DiscardHandler)}, Hooks{News: func(View) {}, Done: func([]sentinel.Record) {}})
	ctx, cancel := context.WithCancel(t.Context())
	d.ctx = ctx
	t.Cleanup(func() { cancel(); d.wg.Wait() })
	return d
}

func hired(d *supervisor) (hire func(context.Context, sentinel.Addr, *interval), ended *[]sentinel.Addr) {
	var mu sync.Mutex
	ended = new([]sentinel.Addr)
	return func(ctx context.Context, a sentinel.Addr, _ *interval) {
		d.wg.Go(func() {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			*ended = append(*ended, a)
		})
	}, ended
}

func TestWorkersAreHiredOnceAndEndWhenNotWanted(t *testing.T) {
	d := idle(t)
	hire, ended := hired(d)
	have := map[sentinel.Addr]*worker{}
	d.sync(have, []sentinel.Addr{addr(1), addr(2)}, hire)
	first := have[addr(1)]
	d.sync(have, []sentinel.Addr{addr(1), addr(3)}, hire)
	if len(have) != 2 || have[addr(1)] != first || have[addr(3)] == nil {
		t.Errorf("workers %v", have)
	}
	d.sync(have, nil, hire)
	d.wg.Wait()
	if len(have) != 0 || len(*ended) != 3 || !slices.Contains(*ended, addr(2)) {
		t.Errorf("workers %v, ended %v", have, *ended)
	}
}

func TestALastWordOfAnEndedWorkerIsLate(t *testing.T) {
	d := idle(t)
	d.listeners[addr(1)] = &worker{interval: newInterval(0), end: func() {}}
	for _, o := range []struct {
		in   sentinel.Observation
		late bool
	}{
		{sentinel.Link{Sentinel: addr(1)}, false},
		{sentinel.Link{Sentinel: addr(2)}, true},
		{sentinel.Poll{Sentinel: addr(2)}, true},
		{sentinel.Event{Sentinel: addr(2)}, true},
		{sentinel.Probe{Node: addr(2)}, false}, // the machine knows its nodes
		{sentinel.Tick{}, false},
	} {
		if got := d.late(o.in); got != o.late {
			t.Errorf("late(%+v) = %v", o.in, got)
		}
	}
}

// Who cannot be heard is asked more often, and so are the nodes.
func TestASentinelThatIsNotHeardIsAskedMoreOften(t *testing.T) {
	d := idle(t)
	d.now = sentinel.Decision{Sentinels: []sentinel.Addr{addr(1), addr(2)}, PollEach: time.Second, ProbeEach: time.Second, Probes: []sentinel.Addr{addr(9)}}
	for _, a := range d.now.Sentinels {
		d.listeners[a] = &worker{interval: newInterval(time.Hour), end: func() {}}
	}
	d.probers[addr(9)] = &worker{interval: newInterval(time.Hour), end: func() {}}
	each := func() []time.Duration {
		d.syncListeners(false)
		d.syncProbers(false)
		return []time.Duration{d.listeners[addr(1)].interval.each, d.listeners[addr(2)].interval.each, d.probers[addr(9)].interval.each}
	}
	for _, step := range []struct {
		o    sentinel.Observation
		want []time.Duration
	}{
		{sentinel.Tick{}, []time.Duration{time.Second, time.Second, probeUnheard}},
		{sentinel.Poll{Sentinel: addr(1)}, []time.Duration{pollUnheard, time.Second, probeUnheard}},
		{sentinel.Link{Sentinel: addr(1), Up: true}, []time.Duration{time.Second, time.Second, probeUnheard}},
		{sentinel.Link{Sentinel: addr(2), Up: true}, []time.Duration{time.Second, time.Second, time.Second}},
		{sentinel.Link{Sentinel: addr(1)}, []time.Duration{pollUnheard, time.Second, probeUnheard}},
		{sentinel.Poll{Sentinel: addr(1), Fault: sentinel.FaultTimeout}, []time.Duration{time.Second, time.Second, probeUnheard}},
	} {
		d.hear(step.o)
		if got := each(); !slices.Equal(got, step.want) {
			t.Errorf("after %+v: %v, want %v", step.o, got, step.want)
		}
	}
}

func TestMessagesAreCountedByChannelsThatAreKnown(t *testing.T) {
	d := idle(t)
	for _, channel := range []string{"+odown", "+odown", "+nonsense", ""} {
		d.count(channel)
	}
	if d.events["+odown"] != 2 || d.events["other"] != 2 || len(d.events) != len(newEvents()) {
		t.Errorf("events %v", d.events)
	}
}

func TestAReasonNamesWhatAnOperatorHasToMend(t *testing.T) {
	d := idle(t)
	if err := d.reason(); !errors.Is(err, ErrNoMaster) || remote.KindOf(err) != remote.Conn {
		t.Errorf("reason %v", err)
	}
	d.complaints.note(sentinel.Addr{}, &remote.Error{Kind: remote.Auth, Op: "log in", Err: errors.New("WRONGPASS")})
	d.complaints.note(sentinel.Addr{}, &remote.Error{Kind: remote.Timeout, Op: "ask", Err: context.DeadlineExceeded}) // nobody's fault
	if err := d.reason(); !errors.Is(err, ErrNoMaster) || remote.KindOf(err) != remote.Auth {
		t.Errorf("reason %v", err)
	}
	d.now.Master = addr(1)
	for stage, want := range map[sentinel.Stage]error{
		sentinel.Clear: ErrNotConnected, sentinel.Suspect: ErrNotConnected, sentinel.Fenced: ErrFenced, sentinel.Degraded: ErrGivenUp,
	} {
		if d.now.Stage = stage; !errors.Is(d.reason(), want) {
			t.Errorf("%v: reason %v", stage, d.reason())
		}
	}
}

func TestWhatTheACLForbidsIsRemembered(t *testing.T) {
	var l missing
	for text, want := range map[string]string{
		"NOPERM this user has no permissions to run the 'wait' command":                       "WAIT",
		"NOPERM User app has no permissions to run the 'client|setname' command":              "CLIENT",
		"NOPERM this user has no permissions to access one of the keys used as arguments":     heartbeatKey,
		"NOPERM No permissions to access a key":                                               heartbeatKey,
		"NOPERM this user has no permissions to run the 'AVERYLONGWORDTHATISNONE!' command":   "some command",
		"NOPERM this user has no permissions to run the '" + string(make([]byte, 99)) + "' c": "some command",
	} {
		if got := forbiddenBy(text); got != want {
			t.Errorf("forbiddenBy(%q) = %q, want %q", text, got, want)
		}
	}
	l.note(&remote.Error{Kind: remote.NoPerm, Op: "heartbeat", Err: errors.New("NOPERM … run the 'wait' command")})
	l.note(&remote.Error{Kind: remote.Timeout, Op: "heartbeat", Err: context.DeadlineExceeded})
	l.add(heartbeatKey)
	if got := l.list(); !slices.Equal(got, []string{"WAIT", heartbeatKey}) {
		t.Errorf("list = %q", got)
	}
	l.seen["WAIT"] = time.Now().Add(-2 * missingFor)
	if got := l.list(); !slices.Equal(got, []string{heartbeatKey}) {
		t.Errorf("list = %q after a while", got)
	}
}

// seen collects what the hooks of a running watch are told.
type seen struct {
	mu     sync.Mutex
	ups    []string
	downs  int
	views  []View
	ended  []sentinel.Record
	beaten int
}

func (s *seen) hooks() Hooks {
	locked := func(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }
	return Hooks{
		Up:     func(n *remote.Node) { locked(func() { s.ups = append(s.ups, n.Addr) }) },
		Down:   func(error) { locked(func() { s.downs++ }) },
		Failed: func(error) {},
		Beat:   func(*remote.Node, Beat) { locked(func() { s.beaten++ }) },
		News:   func(v View) { locked(func() { s.views = append(s.views, v) }) },
		Done:   func(r []sentinel.Record) { locked(func() { s.ended = append(s.ended, r...) }) },
	}
}

func (s *seen) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		yes := ok()
		s.mu.Unlock()
		if yes {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s; ups %v, downs %d", what, s.ups, s.downs)
		}
	}
}

type quiet struct{}

func (quiet) Command(string, time.Duration, remote.Kind) {}

// TestAPlannedFailoverIsSeenFromTheFirstMasterToTheNext runs against a real set.
func TestAPlannedFailoverIsSeenFromTheFirstMasterToTheNext(t *testing.T) {
	set := redistest.StartSentinel(t, redistest.WithDownAfter(5*time.Second))
	old := set.Master()
	node := remote.Config{DialTimeout: time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	s, returned := new(seen), make(chan struct{})
	go func() {
		defer close(returned)
		Run(ctx, Config{
			Master: set.MasterName(), Sentinels: set.Addrs(), Login: node, Node: node, Observer: quiet{}, Log: slog.New(slog.DiscardHandler),
			Heartbeat: remote.Heartbeat{Key: "~b:test", TTL: time.Hour, Every: time.Second, Timeout: time.Second},
		}, s.hooks())
	}()
	last := func() View { return s.views[len(s.views)-1] }
	s.until(t, "the master in use", func() bool { return len(s.ups) == 1 && s.ups[0] == old.Addr() && s.beaten > 0 })
	s.until(t, "the all-clear", func() bool { return last().Decision.Stage == sentinel.Clear })
	set.Failover()
	s.until(t, "the next master in use", func() bool { return len(s.ups) == 2 && s.ups[1] != old.Addr() && s.downs == 1 })
	s.until(t, "its record", func() bool {
		return slices.ContainsFunc(s.ended, func(r sentinel.Record) bool { return r.Failover() && r.To.String() == s.ups[1] })
	})
	s.until(t, "a view without a reason", func() bool { return last().Reason == nil && last().Decision.Master.String() == s.ups[1] })
	cancel()
	<-returned
	if s.downs != 2 {
		t.Errorf("%d times down, want the old one and the end", s.downs)
	}
}

func TestABarrierProvesNothingThatAPromotionMayUndo(t *testing.T) {
	two := []sentinel.Addr{addr(2), addr(3)}
	now := func(stage sentinel.Stage, confirmed bool, promotable ...sentinel.Addr) sentinel.Decision {
		return sentinel.Decision{Master: addr(1), Stage: stage, Confirmed: confirmed, Promotable: promotable}
	}
	for _, tt := range []struct {
		name            string
		by              []sentinel.Addr
		fault           sentinel.Fault
		now             sentinel.Decision
		confirms, alone bool
	}{
		{"all have it", two, sentinel.FaultNone, now(sentinel.Clear, true, two...), true, true},
		{"one lacks it", two[:1], sentinel.FaultNone, now(sentinel.Clear, true, two...), false, false},
		{"another has it", []sentinel.Addr{addr(2), addr(4)}, sentinel.FaultNone, now(sentinel.Clear, true, two...), false, false},
		{"nobody has it", []sentinel.Addr{}, sentinel.FaultNone, now(sentinel.Clear, true, two...), false, false},
		{"who has it is not told", nil, sentinel.FaultUnproven, now(sentinel.Clear, true, two...), false, false},
		{"it is a guess", two, sentinel.FaultUnproven, now(sentinel.Clear, true, two...), false, false},
		{"nobody can be promoted", nil, sentinel.FaultNone, now(sentinel.Clear, true), true, false},
		{"suspect", two, sentinel.FaultNone, now(sentinel.Suspect, true, two...), false, false},
		{"provisional", two, sentinel.FaultNone, now(sentinel.Clear, false, two...), false, false},
	} {
		tt.now.Probes = two
		got := shown(sentinel.Barrier{Node: addr(1), By: tt.by, Attached: tt.by, Fault: tt.fault}, tt.now)
		if got.Confirms != tt.confirms || got.Alone != tt.alone {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// A replica that the master names and nobody has asked yet: the sentinels may know it, and
// promote it.
func TestABarrierProvesNothingBesideAnUnknownReplica(t *testing.T) {
	b := sentinel.Barrier{Node: addr(1), By: []sentinel.Addr{addr(2)}, Attached: []sentinel.Addr{addr(2), addr(3)}}
	for _, known := range [][]sentinel.Addr{{addr(1), addr(2)}, {addr(1), addr(2), addr(3)}} {
		got := shown(b, sentinel.Decision{Master: addr(1), Confirmed: true, Probes: known, Promotable: []sentinel.Addr{addr(2)}})
		if want := len(known) == 3; got.Confirms != want || got.Alone != want {
			t.Errorf("%d nodes are known: %+v", len(known), got)
		}
	}
}

// Where no replica can be promoted none is waited for, and that none has the
// barrier proves as much as it can. That is not the same as not knowing.
func TestThatNoReplicaHoldsABarrierIsKnown(t *testing.T) {
	info := func(offset, replica string) string {
		return "role:master\r\nslave0:ip=127.0.0.1,port=2,state=online,offset=" + replica + ",lag=0\r\nmaster_repl_offset:" + offset + "\r\n"
	}
	for _, tt := range []struct {
		name string
		in   remote.Barrier
		want []sentinel.Addr
		told bool
	}{
		{"it has it", remote.Barrier{Wrote: info("10", "0"), Info: info("12", "10")}, []sentinel.Addr{addr(2)}, true},
		{"it is behind", remote.Barrier{Wrote: info("10", "0"), Info: info("12", "9")}, nil, true},
		{"WAIT has counted all", remote.Barrier{All: true, Info: info("12", "0")}, []sentinel.Addr{addr(2)}, true},
		{"WAIT has not, and it has everything", remote.Barrier{Info: info("12", "12")}, []sentinel.Addr{addr(2)}, true},
		{"WAIT has not, and it may lack it", remote.Barrier{Info: info("12", "11")}, nil, true},
		{"there is none", remote.Barrier{All: true, Info: "role:master\r\nmaster_repl_offset:12\r\n"}, nil, true},
		{"INFO is forbidden", remote.Barrier{Wrote: "NOPERM", Info: "NOPERM"}, nil, false},
	} {
		if by := holders(tt.in); (by != nil) != tt.told || !slices.Equal(by, tt.want) {
			t.Errorf("%s: %v, told %v", tt.name, by, by != nil)
		}
	}
}
