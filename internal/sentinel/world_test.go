package sentinel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is a set of nodes and sentinels that a test arranges as it likes; run
// lets the machine look at it, the way the shell would.
type world struct {
	t     testing.TB
	m     *Machine
	clock float64
	nodes []*fakeNode
	guard []*fakeSentinel
	d     Decision
	ended []Record

	noWrites bool // fail when writes may be sent
}

type fakeNode struct {
	name     string
	addr     Addr
	dead     bool
	muted    bool // answers questions, takes no writes
	follows  string
	runID    string
	id, id2  string
	priority int
	hidden   []string // attached replicas that it does not show
	extra    []string // and attached ones that follow somebody else
	of       string   // another address of that node
}

type fakeSentinel struct {
	name     string
	addr     Addr
	dead     bool
	id       string
	named    string // GET-MASTER-ADDR-BY-NAME
	master   string // SENTINEL MASTER; "" = as named
	epoch    int64
	flags    Flags
	progress Progress
	promoted string
	others   int
	down     []string // replicas it holds down
	lists    []string // replicas it lists; nil = all nodes but its master
	alone    []Addr   // and these, which nobody has heard of
	alias    Addr     // what it names in the place of named
	peers    []PeerView
	patience time.Duration // its failover timeout
}

func hexID(n int) string { return fmt.Sprintf("%040x", n) }

func worldAddr(port int) Addr { return Addr{Host: "10.0.0.1", Port: uint16(port)} }

// newWorld is n1 with its replicas n2 and n3, s1 to s3, found and calm.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := bareWorld(t)
	w.run(1000)
	w.want(Clear, "n1")
	w.wantConfirmed(true)
	return w
}

func bareWorld(t testing.TB) *world {
	w := &world{t: t}
	for i, name := range []string{"n1", "n2", "n3"} {
		w.nodes = append(w.nodes, &fakeNode{name: name, addr: worldAddr(7001 + i), runID: hexID(0x100 + i), id: hexID(0xa1), follows: "n1", priority: 100})
	}
	w.nodes[0].follows = ""
	var addrs []Addr
	for i, name := range []string{"s1", "s2", "s3"} {
		w.guard = append(w.guard, &fakeSentinel{name: name, addr: worldAddr(8001 + i), id: hexID(0x200 + i), named: "n1", others: 2})
		addrs = append(addrs, worldAddr(8001+i))
	}
	w.m = New("shop", addrs, Rules{FailoverTimeout: 5 * time.Second})
	for _, s := range w.guard {
		w.link(s.name, true)
	}
	return w
}

func (w *world) node(name string) *fakeNode {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	w.t.Fatalf("no node %q", name)
	return nil
}

func (w *world) sentinel(name string) *fakeSentinel {
	for _, s := range w.guard {
		if s.name == name {
			return s
		}
	}
	w.t.Fatalf("no sentinel %q", name)
	return nil
}

func (w *world) add(name string, follows string) *fakeNode {
	i := len(w.nodes)
	n := &fakeNode{name: name, addr: worldAddr(7001 + i), runID: hexID(0x100 + i), id: hexID(0xa1), follows: follows, priority: 100}
	w.nodes = append(w.nodes, n)
	return n
}

func (w *world) feed(o Observation) {
	w.d = w.m.Observe(o)
	if w.noWrites && w.d.Writes() {
		w.t.Fatalf("at %.0f ms: writes to %s after %+v", w.clock, w.master(), o)
	}
	w.ended = append(w.ended, w.d.Finished...)
	checkBounds(w.t, w.m)
}

// run lets time pass: probes each 50 ms, polls and the barrier each 100 ms.
func (w *world) run(ms float64) {
	w.t.Helper()
	for end := w.clock + ms; w.clock < end; {
		w.clock += 50
		for _, n := range w.nodes {
			if slices.Contains(w.d.Probes, n.addr) {
				w.probe(n)
			}
		}
		if int(w.clock/50)%2 == 0 {
			for _, s := range w.guard {
				w.poll(s)
			}
			w.beat()
		}
		w.feed(Tick{At: at(w.clock)})
	}
}

func (w *world) probe(n *fakeNode) {
	p := Probe{Node: n.addr, SentAt: at(w.clock - 1), At: at(w.clock)}
	n = w.real(n)
	if n.dead {
		p.Fault = FaultUnreachable
		w.feed(p)
		return
	}
	p.Says = Answer{Role: RoleMaster, RunID: n.runID, ReplID: n.id, ReplID2: n.id2}
	if n.follows != "" {
		up := w.node(n.follows)
		p.Says.Role, p.Says.Master, p.Says.LinkUp = RoleReplica, up.addr, !up.dead
	} else {
		for _, r := range w.attached(n) {
			p.Says.Replicas = append(p.Says.Replicas, r.addr)
		}
	}
	w.feed(p)
}

func (w *world) real(n *fakeNode) *fakeNode {
	if n.of != "" {
		return w.node(n.of)
	}
	return n
}

func (w *world) attached(n *fakeNode) []*fakeNode {
	var out []*fakeNode
	for _, r := range w.nodes {
		here := r.of == "" && r.follows == n.name && !slices.Contains(n.hidden, r.name)
		if !r.dead && (here || slices.Contains(n.extra, r.name)) {
			out = append(out, r)
		}
	}
	return out
}

func (w *world) poll(s *fakeSentinel) {
	p := Poll{Sentinel: s.addr, SentAt: at(w.clock - 1), At: at(w.clock)}
	if s.dead {
		p.Fault = FaultUnreachable
		w.feed(p)
		return
	}
	master := s.master
	if master == "" {
		master = s.named
	}
	p.ID, p.Named = s.id, w.node(s.named).addr
	p.Master = MasterView{
		Name: "shop", Addr: w.node(master).addr, Flags: FlagMaster | s.flags, Epoch: s.epoch,
		OtherSentinels: s.others, Quorum: 2, Progress: s.progress, FailoverTimeout: s.patience,
	}
	if !s.alias.IsZero() {
		p.Named, p.Master.Addr = s.alias, s.alias
	}
	p.Peers = s.peers
	if s.progress != ProgressNone {
		p.Master.Flags |= FlagFailover
	}
	for _, n := range w.nodes {
		listed := n.name != master
		if s.lists != nil {
			listed = slices.Contains(s.lists, n.name)
		}
		if listed {
			p.Replicas = append(p.Replicas, w.entry(s, n))
		}
	}
	for _, a := range s.alone {
		p.Replicas = append(p.Replicas, ReplicaView{Addr: a, Flags: FlagReplica, Priority: 1, LinkUp: true})
	}
	w.feed(p)
}

func (w *world) entry(s *fakeSentinel, n *fakeNode) ReplicaView {
	v := ReplicaView{Addr: n.addr, Flags: FlagReplica, Priority: n.priority, LinkUp: true}
	if slices.Contains(s.down, n.name) {
		v.Flags |= FlagSDown
	}
	if s.promoted == n.name {
		v.Flags |= FlagPromoted
	}
	return v
}

// beat is the barrier to the decided master.
func (w *world) beat() {
	for _, n := range w.nodes {
		if n.addr != w.d.Master {
			continue
		}
		b := Barrier{Node: n.addr, SentAt: at(w.clock - 1), At: at(w.clock)}
		n = w.real(n)
		switch {
		case n.dead:
			b.Fault = FaultUnreachable
		case n.muted:
			b.Fault = FaultTimeout
		case n.follows != "":
			b.Fault = FaultReadOnly
		default:
			b.Acked = len(w.attached(n))
		}
		w.feed(b)
	}
}

// event publishes a message; node names stand for addresses.
func (w *world) event(sentinel, channel, format string, names ...string) {
	w.t.Helper()
	message := format
	for _, name := range names {
		a := w.node(name).addr
		message = strings.Replace(message, "%", fmt.Sprintf("%s %d", a.Host, a.Port), 1)
	}
	w.feed(Event{Sentinel: w.sentinel(sentinel).addr, At: at(w.clock), Channel: channel, Message: message})
}

func (w *world) link(sentinel string, up bool) {
	w.feed(Link{Sentinel: w.sentinel(sentinel).addr, At: at(w.clock), Up: up})
}

// try, selected and ended are what a leader publishes and shows.
func (w *world) try(sentinel, master string) {
	w.event(sentinel, "+try-failover", "master shop %", master)
	w.sentinel(sentinel).progress = ProgressCandidate
}

func (w *world) selected(sentinel, replica, master string) {
	w.event(sentinel, "+selected-slave", "slave x % @ shop %", replica, master)
	s := w.sentinel(sentinel)
	s.progress, s.promoted = ProgressSelected, replica
}

func (w *world) over(sentinel, channel, master string) {
	w.event(sentinel, channel, "master shop %", master)
	s := w.sentinel(sentinel)
	s.progress, s.promoted = ProgressNone, ""
}

// promote makes a replica a master, as REPLICAOF NO ONE does.
func (w *world) promote(name string) {
	n := w.node(name)
	n.id2, n.id, n.follows = n.id, hexID(0xb0+len(n.name)*16+int(n.name[1])), ""
}

// repoint makes a node a replica of another one, in step with it.
func (w *world) repoint(name, master string) {
	n := w.node(name)
	n.follows, n.id, n.id2 = master, w.node(master).id, ""
}

// announce lets sentinels name a master under an epoch.
func (w *world) announce(master string, epoch int64, sentinels ...string) {
	for _, name := range sentinels {
		s := w.sentinel(name)
		s.named, s.master, s.epoch, s.progress, s.promoted, s.flags = master, "", epoch, ProgressNone, "", 0
	}
}

func (w *world) restart(name string) {
	n := w.node(name)
	n.dead = false
	n.runID = hexID(0x1000 + int(w.clock))
}

func (w *world) master() string {
	for _, n := range w.nodes {
		if n.addr == w.d.Master {
			return n.name
		}
	}
	return ""
}

func (w *world) want(stage Stage, master string) {
	w.t.Helper()
	if w.d.Stage != stage || w.master() != master {
		w.t.Fatalf("at %.0f ms: %v with master %q, want %v with %q", w.clock, w.d.Stage, w.master(), stage, master)
	}
}

func (w *world) wantConfirmed(want bool) {
	w.t.Helper()
	if w.d.Confirmed != want {
		w.t.Fatalf("at %.0f ms: confirmed = %v, want %v", w.clock, w.d.Confirmed, want)
	}
}

func (w *world) wantMaster(master string) {
	w.t.Helper()
	if w.master() != master {
		w.t.Fatalf("at %.0f ms: master %q (%v), want %q", w.clock, w.master(), w.d.Stage, master)
	}
}
