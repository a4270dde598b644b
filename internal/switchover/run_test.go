package switchover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/survey"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

func TestMain(m *testing.M) { testbed.Main(m, 3) }

// calmly: with less the sentinels may find a new master down, and fail over again by themselves.
var calmly = redistest.WithDownAfter(2 * time.Second)

// patience is how long a busy machine may take.
const patience = 30 * time.Second

func targetOf(s *redistest.Sentinel) survey.Target {
	t := survey.TargetOf(evercache.Options{Sentinels: s.Addrs(), MasterName: s.MasterName()})
	t.Timeout = 6 * time.Second
	return t
}

// planned waits until the set can be switched over, and returns the plan.
func planned(t *testing.T, target survey.Target, to string) (p Plan) {
	t.Helper()
	testbed.Until(t, patience, func() bool { p = NewPlan(survey.Take(t.Context(), target), nil, nil, to); return len(p.Refusals) == 0 },
		func() string { return fmt.Sprint(p.Refusals) })
	return p
}

func carryOut(t *testing.T, target survey.Target, p Plan) Report {
	t.Helper()
	return Run(t.Context(), p, Options{Target: target, Timeout: patience, Tell: func(s string) { t.Log(s) }})
}

// told is a report as a test shows it.
func told(r Report) string { return fmt.Sprintf("%s%s: %v", r.Plan.Text(), r.Text(), r.Steps) }

// plain is a client of one connection that knows nothing of evercache: it writes to the master that it knows as long as
// that takes writes, and asks the sentinels only when it does not.
type plain struct {
	set   *redistest.Sentinel
	acked []string
	wg    sync.WaitGroup
	end   context.CancelFunc
}

func writing(t *testing.T, set *redistest.Sentinel) *plain {
	ctx, end := context.WithCancel(t.Context())
	p := &plain{set: set, end: end}
	p.wg.Go(func() { p.write(ctx) })
	t.Cleanup(func() { end(); p.wg.Wait() })
	return p
}

func (p *plain) write(ctx context.Context) {
	node := p.set.Master()
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprint("k", i)
		once, cancel := context.WithTimeout(ctx, 5*time.Second)
		if _, err := node.Try(once, "SET", key, "v"); err == nil {
			p.acked = append(p.acked, key)
		} else if next := p.master(once); next != nil {
			node = next
		}
		cancel()
		time.Sleep(time.Millisecond)
	}
}

func (p *plain) master(ctx context.Context) *redistest.Server {
	reply, err := p.set.Sentinels()[0].Try(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", p.set.MasterName())
	words, _ := reply.([]any)
	if err != nil || len(words) != 2 {
		return nil
	}
	return p.set.Node(fmt.Sprintf("%s:%s", words[0], words[1]))
}

// lost ends the traffic and counts the acknowledged writes that the master does not hold.
func (p *plain) lost(t *testing.T, master *redistest.Server) (lost int) {
	t.Helper()
	p.end()
	p.wg.Wait()
	if len(p.acked) < 20 {
		t.Errorf("only %d writes", len(p.acked))
	}
	for keys := range slices.Chunk(p.acked, 500) {
		n, _ := master.Do(append([]string{"EXISTS"}, keys...)...).(int64)
		lost += len(keys) - int(n)
	}
	t.Logf("%d writes, %d lost", len(p.acked), lost)
	return lost
}

// calm waits until every other node follows the master.
func calm(t *testing.T, target survey.Target, to string) {
	t.Helper()
	var lacks []string
	testbed.Until(t, patience, func() bool { lacks = missing(survey.Take(t.Context(), target), nil, to); return len(lacks) == 0 },
		func() string { return join(lacks) })
}

func TestASwitchoverLosesNothingOfAPlainClient(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	target := targetOf(set)
	for i := range 3 {
		p, old := planned(t, target, ""), set.Master().Addr()
		if i == 0 {
			p.Method = Paused // also on servers that could do it by themselves
		}
		w := writing(t, set)
		time.Sleep(100 * time.Millisecond) // of undisturbed traffic
		r := carryOut(t, target, p)
		if r.Outcome != Done || r.Promoted == old || r.From != old || r.PromotedMS == nil || p.Method == Paused && (r.PauseMS == nil || *r.PauseMS > 1000*pauseMost.Seconds()) {
			t.Fatal(told(r))
		}
		if n := w.lost(t, set.Node(r.Promoted)); n != 0 {
			t.Errorf("%d lost", n)
		}
	}
}

// Without the pause a planned failover does lose writes: else the test above would prove nothing.
func TestAPlainFailoverLosesWritesOfAPlainClient(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	p := planned(t, targetOf(set), "")
	w := writing(t, set)
	time.Sleep(100 * time.Millisecond) // of undisturbed traffic
	set.Failover()
	next := set.WaitMaster(p.From, patience)
	calm(t, targetOf(set), next.Addr())
	if w.lost(t, next) == 0 {
		t.Error("nothing was lost")
	}
}

func TestTheReplicaThatIsNamedTakesOver(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly, redistest.WithFastSentinel())
	target := targetOf(set)
	for i := range 2 { // each of the two
		to := planned(t, target, "").replicas[i].Addr
		r := carryOut(t, target, planned(t, target, to))
		if r.Outcome != Done || r.Promoted != to {
			t.Fatal(told(r))
		}
		if got := fmt.Sprint(set.Node(to).Do("CONFIG", "GET", "replica-priority")); !strings.Contains(got, "100") {
			t.Errorf("priority %s", got)
		}
	}
}

// writable fails the test unless a server takes writes at once.
func writable(t *testing.T, s *redistest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pauseFor/2)
	defer cancel()
	if _, err := s.Try(ctx, "SET", "writable", "yes"); err != nil {
		t.Errorf("%s takes no writes: %v", s.Addr(), err)
	}
}

func TestItGivesUpAndWritesGoOn(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	target := targetOf(set)
	gaveUp := func(why string, r Report) {
		t.Helper()
		master := set.Node(r.From)
		writable(t, master)
		if text := fmt.Sprint(r.Steps); r.Outcome != GaveUp || r.Promoted != "" || !strings.Contains(text, why) || !strings.HasPrefix(r.State, "nothing was changed") {
			t.Errorf("%s; want %q", told(r), why)
		}
	}
	p := planned(t, target, "")
	p.Method = Paused // also on servers that could do it by themselves
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gaveUp("canceled", Run(ctx, p, Options{Target: target, Timeout: patience}))

	master := set.Node(p.From)
	master.Do("ACL", "SETUSER", "default", "-replicaof")
	gaveUp("the ACL forbids REPLICAOF NO", carryOut(t, target, p))
	master.Do("ACL", "SETUSER", "default", "+replicaof")

	strange := set.Node(p.replicas[0].Addr)
	strange.Do("REPLICAOF", "NO", "ONE") // it is not level any more, and never will be
	r := carryOut(t, target, p)
	gaveUp("does not have all writes of the master within", r)
	if r.PauseMS == nil || *r.PauseMS > 1000*pauseFor.Seconds() {
		t.Error(told(r))
	}
}

// What the ACL of a server forbids is known before anything is done, also where it forbids to ask for rights.
func TestRightsAreAskedForBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	target := targetOf(set)
	p := planned(t, target, "")
	p.Method = Paused // also on servers that could do it by themselves
	refusals := func(p Plan) string {
		p.AskRights(t.Context(), target)
		return strings.Join(p.Refusals, "; ")
	}
	master, replica := set.Node(p.From), set.Node(p.replicas[0].Addr)
	w := set.Sentinels()[slices.IndexFunc(set.Sentinels(), func(s *redistest.Server) bool { return s.Addr() == p.sentinels[0].Addr })]
	if got := refusals(p); got != "" {
		t.Errorf("where all is allowed: %s", got)
	}
	writable(t, master) // it has not been paused
	for _, c := range []struct {
		server *redistest.Server
		rule   string
		want   string
	}{
		{master, "-client|pause", "the ACL forbids CLIENT PAUSE to our user"},
		{master, "-replicaof", "the ACL forbids REPLICAOF to our user"},
		{w, "-sentinel|failover", "the ACL forbids SENTINEL FAILOVER to our user"},
		{replica, "-config|set", "the ACL forbids CONFIG SET to our user"},
	} {
		plan := p
		if c.server == replica {
			plan.To, plan.priority = replica.Addr(), 1
		}
		c.server.Do("ACL", "SETUSER", "default", c.rule, "-acl|dryrun", "-acl|whoami")
		if got := refusals(plan); !strings.Contains(got, c.server.Addr()+": "+c.want) {
			t.Errorf("%s: %q, want %q", c.rule, got, c.want)
		}
		// A plain failover takes the right on the sentinels alone.
		if got := FailoverForbidden(t.Context(), target, survey.Take(t.Context(), target)); (len(got) > 0) != (c.server == w) {
			t.Errorf("%s: %q", c.rule, got)
		}
		c.server.Do("ACL", "SETUSER", "default", "+@all")
	}
	if got := set.Master().Addr(); got != p.From {
		t.Errorf("%s is the master, it was %s", got, p.From)
	}
}

func TestTheSentinelsRefuse(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	target := targetOf(set)
	p := planned(t, target, "")
	p.MasterName = "nobody"
	r := carryOut(t, target, p)
	writable(t, set.Node(p.From))
	if r.Outcome != GaveUp || !strings.Contains(fmt.Sprint(r.Steps), "SENTINEL FAILOVER") {
		t.Error(told(r))
	}
}

func TestASwitchoverInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	target := survey.TargetOf(evercache.Options{ClusterNodes: c.Addrs()})
	target.Timeout = 6 * time.Second
	old := c.Masters()[0]
	to := c.ReplicasOf(old)[0].Addr()
	if p := NewPlan(survey.Take(t.Context(), target), nil, nil, ""); len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], to) {
		t.Errorf("%q", p.Refusals)
	}
	p := planned(t, target, to)
	if p.AskRights(t.Context(), target); len(p.Refusals) > 0 {
		t.Fatalf("where all is allowed: %q", p.Refusals)
	}
	replica, less := c.ReplicasOf(old)[0], p
	replica.Do("ACL", "SETUSER", "default", "-cluster|failover")
	if less.AskRights(t.Context(), target); len(less.Refusals) != 1 || !strings.Contains(less.Refusals[0], to+": the ACL forbids CLUSTER FAILOVER") {
		t.Errorf("%q", less.Refusals)
	}
	for _, n := range c.Nodes() {
		n.Do("ACL", "SETUSER", "default", "-cluster|failover")
	}
	if got := FailoverForbidden(t.Context(), target, survey.Take(t.Context(), target)); len(got) != 1 {
		t.Errorf("%q", got)
	}
	for _, n := range c.Nodes() {
		n.Do("ACL", "SETUSER", "default", "+cluster|failover")
	}
	replica.Do("ACL", "SETUSER", "default", "+cluster|failover")
	r := carryOut(t, target, p)
	if r.Outcome != Done || r.Promoted != to || r.From != old.Addr() {
		t.Fatal(told(r))
	}
	if p := NewPlan(survey.Take(t.Context(), target), nil, nil, to); len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], "no replica") {
		t.Errorf("%q", p.Refusals)
	}
}

// stuck is a switchover that was begun on a set by hand.
func stuck(t *testing.T, set *redistest.Sentinel) (*run, *server) {
	t.Helper()
	target := targetOf(set)
	r := &run{Options: Options{Target: target, Timeout: patience}, plan: planned(t, target, ""), began: time.Now()}
	old := node(target, r.plan.master)
	t.Cleanup(old.close)
	if err := r.pause(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	r.ordered = time.Now()
	return r, old
}

func TestWhereTheSentinelsPromoteNobodyWritesGoOn(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	r, old := stuck(t, set)
	leader := sentinel(r.Target, r.plan.sentinels[0]) // it has no failover under way
	defer leader.close()
	next, err := r.await(t.Context(), old, leader, r.servers())
	r.unpause(t.Context(), old)
	writable(t, set.Node(r.plan.From))
	if next != "" || err == nil || !strings.Contains(r.report.State, "gave the failover up") || r.report.PauseMS == nil {
		t.Errorf("%q, %v: %s", next, err, told(r.report))
	}
}

func TestAnOldMasterThatCannotBeToldIsReported(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	r, old := stuck(t, set)
	set.Node(r.plan.From).Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := r.demote(ctx, old, r.plan.replicas[0].Addr)
	if err == nil || !strings.Contains(err.Error(), "what it takes until it follows is lost") {
		t.Error(err)
	}
	r.unpause(ctx, old)
	if !strings.Contains(fmt.Sprint(r.report.Steps), "the pause could not be ended, and ends by itself") {
		t.Error(r.report.Steps)
	}
}

// A switchover that was killed has left a lower replica-priority behind. The next one puts it
// back, whatever it is asked for, and does not take it for the node's own.
func TestWhatAKilledSwitchoverLeftIsPutBack(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly, redistest.WithFastSentinel())
	target := targetOf(set)
	to := planned(t, target, "").replicas[0].Addr
	killed := &run{Options: Options{Target: target}, plan: planned(t, target, to), began: time.Now()}
	old := node(target, killed.plan.master)
	defer old.close()
	killed.note(t.Context(), old)
	set.Node(to).Do("CONFIG", "SET", "replica-priority", fmt.Sprint(killed.plan.priority)) // and back is never called
	priority := func(want string) {
		t.Helper()
		if got := fmt.Sprint(set.Node(to).Do("CONFIG", "GET", "replica-priority")); !strings.Contains(got, want) {
			t.Errorf("%s has %s, want %s", to, got, want)
		}
	}
	priority("99")
	seen := survey.Take(t.Context(), target)
	left := FindLeftover(t.Context(), target, seen)
	if left == nil || *left != (Leftover{to, 99, 100}) {
		t.Fatalf("found %+v", left)
	}
	p := NewPlan(seen, nil, left, to)
	if p.priority != 99 || p.restore != 100 || !strings.Contains(p.Text(), "an earlier switchover was interrupted") {
		t.Errorf("%+v: %s", p, p.Text())
	}
	if r := carryOut(t, target, p); r.Outcome != Done || r.Promoted != to {
		t.Error(told(r))
	}
	priority("100")
	if l := FindLeftover(t.Context(), target, survey.Take(t.Context(), target)); l != nil {
		t.Errorf("it is left still: %+v", l)
	}
}

func FuzzLeftover(f *testing.F) {
	f.Add(`{"node":"a:1","low":99,"own":100}`)
	f.Add(`{"node":"a:1","low":-1,"own":1e300}`)
	f.Fuzz(func(t *testing.T, text string) {
		if l, ok := parseLeftover(text); ok && (l.Node == "" || l.Low < 1 || l.Own < 1) {
			t.Errorf("%q: %+v", text, l)
		}
	})
}

// onStep does something once a step says so.
func onStep(text string, do func()) func(string) {
	done := false
	return func(step string) {
		if !done && strings.Contains(step, text) {
			done = true
			do()
		}
	}
}

// The old master dies when the promotion is ordered. That is said once, at once.
func TestAMasterThatDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	target := targetOf(set)
	p := planned(t, target, "")
	p.Method = Paused
	old := set.Node(p.From)
	r := Run(t.Context(), p, Options{Target: target, Timeout: patience, Tell: onStep("was told to promote", old.Kill)})
	if r.Outcome != Unclean || r.Promoted == "" || len(r.Steps) > 12 || r.TookMS > 15000 || r.PauseMS != nil || !strings.Contains(r.State, "has ended, and takes no writes: start it again") {
		t.Error(told(r))
	}
}

// The old master hangs when another has taken over, and goes on later. It is made to follow
// at once: the sentinels take ten seconds for that, in which it takes writes that are lost.
func TestAMasterThatHangsInTheMiddleFollowsWhenItGoesOn(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	target := targetOf(set)
	p := planned(t, target, "")
	p.Method = Paused
	old := set.Node(p.From)
	took := make(chan time.Duration, 1)
	hang := func() {
		old.Pause()
		time.AfterFunc(pauseMost/2, func() {
			old.Resume()
			at := time.Now()
			testbed.Until(t, patience, func() bool { return !strings.Contains(fmt.Sprint(old.Do("ROLE")), "master") }, func() string { return "it is a master still" })
			took <- time.Since(at)
		})
	}
	r := Run(t.Context(), p, Options{Target: target, Timeout: patience, Tell: onStep("is master", hang)})
	if r.Outcome != Done || len(r.Steps) > 12 {
		t.Error(told(r))
	}
	if late := <-took; late > 5*time.Second {
		t.Errorf("it took writes for %v", late)
	}
}

// The same for one that nobody could reach: it is told when it can be reached.
func TestAMasterThatWasAwayIsToldToFollow(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	target := targetOf(set)
	p := planned(t, target, "")
	old := set.Node(p.From)
	set.Failover()
	next := set.WaitMaster(p.From, patience)
	r := &run{Options: Options{Target: target, Timeout: patience}, plan: p, began: time.Now(), undemoted: true}
	r.report.Promoted = next.Addr()
	testbed.Until(t, 8*time.Second, func() bool {
		r.demoteLate(t.Context(), survey.Take(t.Context(), target))
		return !r.undemoted
	}, func() string { return "it is a master still" })
	if role := fmt.Sprint(old.Do("ROLE")); strings.Contains(role, "master") || len(r.report.Steps) == 0 {
		t.Errorf("%s, %v", role, r.report.Steps)
	}
}

// A replica that was down before is not what a switchover has broken.
func TestAReplicaThatWasDownBeforeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, calmly)
	target := targetOf(set)
	down := set.Node(planned(t, target, "").replicas[0].Addr)
	down.Kill()
	testbed.Until(t, patience, func() bool { return len(NewPlan(survey.Take(t.Context(), target), nil, nil, "").replicas) == 1 }, func() string { return "it is not seen" })
	p := planned(t, target, "")
	p.Method = Paused
	r := carryOut(t, target, p)
	if r.Outcome != Done || r.TookMS > 20000 || !strings.Contains(r.State, down.Addr()+", which did not answer before") {
		t.Error(told(r))
	}
}
