package sentinel

import (
	"slices"
	"testing"
	"time"
)

// feedPeers lets s1 and s2 answer with these peers.
func (w *world) feedPeers(peers ...PeerView) {
	w.clock += 100
	for _, s := range w.guard[:2] {
		s.peers = peers
		w.poll(s)
	}
}

// A fourth sentinel was found by the word of two, and its own counts as long as
// they give theirs.
func TestASentinelThatLeftTheWatchListCountsNoMore(t *testing.T) {
	fourth := PeerView{Addr: worldAddr(8009), ID: hexID(0x209), Flags: FlagSentinel}
	w := newWorld(t)
	w.feedPeers(fourth)
	if !slices.Contains(w.d.Sentinels, fourth.Addr) {
		t.Fatalf("the fourth is not watched: %v", w.d.Sentinels)
	}
	w.feed(Link{Sentinel: fourth.Addr, At: at(w.clock), Up: true})
	w.feed(Poll{
		Sentinel: fourth.Addr, SentAt: at(w.clock), At: at(w.clock), ID: fourth.ID, Named: w.node("n1").addr,
		Master: MasterView{Name: "shop", Addr: w.node("n1").addr, Flags: FlagMaster | FlagFailover, Progress: ProgressCandidate},
	})
	w.want(Fenced, "n1") // it wants a failover
	if st := w.m.Status(); st.Reachable != 4 {
		t.Fatalf("reachable %d", st.Reachable)
	}
	w.feedPeers()
	st := w.m.Status()
	if slices.Contains(w.d.Sentinels, fourth.Addr) || st.Reachable != 3 {
		t.Errorf("watched %v, reachable %d", w.d.Sentinels, st.Reachable)
	}
	w.run(1000) // its last answer is not waited to be renewed, and what it led is over
	w.want(Clear, "n1")
}

func TestALateWordOfAnUnwatchedSentinelChangesNothing(t *testing.T) {
	stranger := worldAddr(8010)
	w := newWorld(t)
	w.feed(Link{Sentinel: stranger, At: at(w.clock), Up: true})
	w.feed(Poll{
		Sentinel: stranger, SentAt: at(w.clock), At: at(w.clock), ID: hexID(0x210), Named: w.node("n2").addr,
		Master: MasterView{Name: "shop", Addr: w.node("n2").addr, Flags: FlagMaster, Epoch: 9},
	})
	if slices.Contains(w.d.Sentinels, stranger) || w.m.Status().Reachable != 3 {
		t.Errorf("watched %v, reachable %d", w.d.Sentinels, w.m.Status().Reachable)
	}
	w.run(1000)
	w.want(Clear, "n1")
}

// The leader's -tilt and +tilt may be published while nobody is connected.
func TestTiltIsKnownByAsking(t *testing.T) {
	w := newWorld(t)
	tilted := func() bool { return w.m.Status().Sentinels[0].Tilt }
	ask := func(tilt Tilt) {
		w.clock += 100
		w.feed(Poll{Sentinel: w.sentinel("s1").addr, SentAt: at(w.clock - 1), At: at(w.clock), Named: w.node("n1").addr, Tilt: tilt})
	}
	for _, step := range []struct {
		tilt Tilt
		want bool
	}{{TiltOn, true}, {TiltUnknown, true}, {TiltOff, false}, {TiltUnknown, false}} {
		if ask(step.tilt); tilted() != step.want {
			t.Errorf("after %v: tilt %v", step.tilt, tilted())
		}
	}
	for info, want := range map[string]Tilt{
		"# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:1\r\nsentinel_tilt_since_seconds:3\r\n": TiltOn,
		"sentinel_tilt:0\n": TiltOff, "sentinel_tilt:2\r\n": TiltUnknown, "": TiltUnknown, "\xff\x00sentinel_tilt:1": TiltUnknown,
	} {
		if got := ParseTilt(info); got != want {
			t.Errorf("ParseTilt(%q) = %v, want %v", info, got, want)
		}
	}
}

func TestReplicasHaveTheLagThatTheirMasterSays(t *testing.T) {
	w := newWorld(t)
	w.clock += 100
	w.feed(Probe{Node: w.node("n1").addr, SentAt: at(w.clock - 1), At: at(w.clock), Says: Answer{
		Role: RoleMaster, RunID: hexID(0x100), ReplID: hexID(0xa1), Offset: 1000,
		Replicas: []Addr{w.node("n2").addr},
		Attached: []Attached{{Addr: w.node("n2").addr, State: "online", Online: true, Offset: 860, Lag: time.Second}},
	}})
	status := func(name string) NodeStatus {
		for _, n := range w.m.Status().Nodes {
			if n.Addr == w.node(name).addr {
				return n
			}
		}
		t.Fatalf("no %s", name)
		return NodeStatus{}
	}
	if n := status("n2"); n.Link != "online" || n.LagBytes != 140 || n.Lag != time.Second {
		t.Errorf("n2: %+v", n)
	}
	for _, name := range []string{"n1", "n3"} {
		if n := status(name); n.Link != "" || n.LagBytes != 0 || n.Lag != 0 {
			t.Errorf("%s: %+v", name, n)
		}
	}
	w.node("n1").dead = true
	w.run(100)
	if n := status("n2"); n.Link != "" {
		t.Errorf("n2, with a dead master: %+v", n)
	}
}

func TestAttachedReplicasAreReadWithTheirState(t *testing.T) {
	for line, want := range map[string]Attached{
		"state=online,offset=9,lag=3":          {State: "online", Online: true, Offset: 9, Lag: 3 * time.Second},
		"state=wait_bgsave,offset=0,lag=0":     {State: "wait_bgsave"},
		"state=\x00,offset=-4,lag=99999999999": {},
		"":                                     {},
	} {
		info, err := ParseReplication("role:master\r\nslave0:ip=10.0.0.2,port=6379," + line + "\r\n")
		want.Addr = Addr{Host: "10.0.0.2", Port: 6379}
		if err != nil || len(info.Replicas) != 1 || info.Replicas[0] != want {
			t.Errorf("%q: %+v, %v, want %+v", line, info.Replicas, err, want)
		}
	}
}

// NonsenseIsCounted for the sentinel that said it, in answers as in messages.
func TestNonsenseIsCountedForWhoSaidIt(t *testing.T) {
	w := newWorld(t)
	w.feed(Event{Sentinel: w.sentinel("s2").addr, At: at(w.clock), Channel: "+switch-master", Message: "shop ? ? ? ?"})
	w.feed(Poll{Sentinel: w.sentinel("s2").addr, SentAt: at(w.clock), At: at(w.clock), Fault: FaultMalformed})
	w.feed(Poll{Sentinel: w.sentinel("s3").addr, SentAt: at(w.clock), At: at(w.clock), Fault: FaultUnreachable})
	st := w.m.Status()
	if st.Rejected != 2 || st.Sentinels[1].Rejected != 2 || st.Sentinels[2].Rejected != 0 {
		t.Errorf("rejected %d; %+v", st.Rejected, st.Sentinels)
	}
}

// A barrier whose proof is missing is an answer all the same.
func TestAnUnprovenBarrierIsNeitherAnAlarmNorAProof(t *testing.T) {
	w := newWorld(t)
	b := Barrier{Node: w.node("n1").addr, SentAt: at(w.clock), At: at(w.clock), Fault: FaultUnproven, Acked: 9}
	w.feed(b)
	w.want(Clear, "n1")
	w.event("s1", "+sdown", "master shop %", "n1")
	w.want(Suspect, "n1")
	w.node("n1").hidden = []string{"n2", "n3"}
	for range 20 {
		w.clock += 100
		for _, s := range w.guard {
			w.poll(s)
		}
		b.SentAt, b.At = at(w.clock), at(w.clock)
		w.feed(b)
	}
	w.want(Suspect, "n1")
}
