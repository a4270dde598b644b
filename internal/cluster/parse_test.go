package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/slot"
)

// id is the id of a node, from its first digit.
func id(digit string) string { return strings.Repeat(digit, 40) }

func mustID(t testing.TB, text string) ID {
	t.Helper()
	v, err := ParseID(text)
	must(t, err)
	return v
}

func addrOf(t testing.TB, text string) Addr {
	t.Helper()
	if text == "" {
		return Addr{}
	}
	a, err := sentinel.SplitAddr(text)
	must(t, err)
	return a
}

func TestIDsAreRead(t *testing.T) {
	text := "06dd7b1e52e3b87ce86025dec36ac8bfaad601d2"
	if got := mustID(t, text); got.String() != text || got.IsZero() {
		t.Errorf("%s", got)
	}
	for _, bad := range []string{"", "-", text[1:], text + "0", "zz" + text[2:], id("0"), strings.Repeat("é", 20)} {
		if got, err := ParseID(bad); err == nil {
			t.Errorf("%q is read as %s", bad, got)
		}
	}
}

func TestLinesOfClusterNodesAreRead(t *testing.T) {
	a, b := id("a"), id("b")
	for _, tt := range []struct {
		text       string
		addr, name string
		flags      Flags
		epoch      int64
		slots      string
		master     string
	}{
		{a + " 127.0.0.1:7000@17000 myself,master - 0 1796015272624 1 connected 0-5460 7000", "127.0.0.1:7000", "", FlagMaster, 1, "0-5460 7000", ""},
		{a + " 127.0.0.1:7000@17000,redis-1.example myself,master - 0 0 1 connected", "127.0.0.1:7000", "redis-1.example:7000", FlagMaster, 1, "", ""},
		{a + " 127.0.0.1:7000@17000,,shard-id=69bc080733d1355567173199cff4a6a039a2f024 myself,slave " + b + " 0 0 12 connected", "127.0.0.1:7000", "", FlagReplica, 12, "", b},
		{a + " 127.0.0.1:7000@17000,shard-id=69bc myself,slave,nofailover " + b + " 0 0 12 connected", "127.0.0.1:7000", "", FlagReplica | FlagNoFailover, 12, "", b},
		{a + " 10.0.0.1:7000 myself,master - 0 0 0 connected 5", "10.0.0.1:7000", "", FlagMaster, 0, "5", ""}, // Redis 3
		{a + " ::1:7000@17000 myself,master - 0 0 0 connected", "[::1]:7000", "", FlagMaster, 0, "", ""},
		{a + " :7000@17000 myself,master - 0 0 0 connected", "", "", FlagMaster, 0, "", ""}, // it does not know its own address
		{a + " :0@0 myself,master,noaddr - 0 0 0 connected", "", "", FlagMaster | FlagNoAddr, 0, "", ""},
		{a + " ?:7000@17000 myself,master,fail?,handshake,odd - 0 0 0 disconnected", "", "", FlagMaster | FlagSuspected | FlagHandshake, 0, "", ""},
	} {
		n, err := ParseNodes(tt.text + "\n")
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		l := n.Self
		if l.Addr != addrOf(t, tt.addr) || l.Name != addrOf(t, tt.name) || l.Flags != tt.flags || l.Epoch != tt.epoch ||
			l.Master.String() != tt.master || slot.SetOf(l.Slots...).String() != tt.slots || len(n.Lines) != 1 {
			t.Errorf("%s: %+v", tt.text, l)
		}
	}
}

func TestAnAnswerToClusterNodesIsReadWhole(t *testing.T) {
	n, err := ParseNodes(strings.Join([]string{
		id("c") + " 10.0.0.3:7000@17000 master,fail - 1 1 3 disconnected 9-10",
		id("a") + " 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-4 [4->-" + id("c") + "] [9-<-" + id("c") + "]",
		"",
		id("b") + " 10.0.0.2:7000@17000 slave " + id("a") + " 0 0 1 connected",
	}, "\r\n"))
	must(t, err)
	if n.Migrating.String() != "4" || n.Importing.String() != "9" || n.Self.ID != mustID(t, id("a")) {
		t.Errorf("%+v", n.Self)
	}
	if l := find(n.Lines, mustID(t, id("c"))); l == nil || l.Flags != FlagMaster|FlagFailed || l.LinkUp {
		t.Errorf("%+v", l)
	}
	if l := find(n.Lines, mustID(t, id("d"))); l != nil || len(n.Lines) != 3 {
		t.Errorf("%+v", n.Lines)
	}
}

func TestWhatIsNoAnswerToClusterNodesIsRefused(t *testing.T) {
	good := id("a") + " 10.0.0.1:7000@17000 myself,master - 0 0 1 connected"
	other := id("b") + " 10.0.0.2:7000@17000 master - 0 0 1 connected"
	var many strings.Builder
	for i := range MaxNodes + 1 {
		fmt.Fprintf(&many, "%040x 10.0.0.1:7000@17000 master - 0 0 1 connected\n", i+1)
	}
	for text, want := range map[string]string{
		"":                                  "no line is the node's own",
		other:                               "no line is the node's own",
		good + "\n" + good:                  "a second line is the node's own",
		good + "\n" + other + "\n" + other:  "is listed twice",
		"x " + good:                         "has not 40",
		id("a") + " 10.0.0.1:7000@1 myself": "3 fields instead of 8",
		strings.Replace(good, " 1 c", " -1 c", 1):   `epoch "-1" makes no sense`,
		strings.Replace(good, " 1 c", " 1e3 c", 1):  "makes no sense",
		strings.Replace(good, "- 0", "nobody 0", 1): "has not 40",
		good + " 16384":                                 "not between 0 and 16383",
		good + " 5-4":                                   "run backwards",
		good + " 0-5 3":                                 "given twice",
		good + " 3\n" + other + " 0-5":                  "given twice",
		good + " [5]":                                   "makes no sense",
		good + " [99999->-" + id("b") + "]":             "makes no sense",
		good + " migrating":                             "not between",
		many.String():                                   "more than 2000 nodes",
		good + strings.Repeat(" ", 1<<20):               "bytes",
		good + "\n" + strings.Repeat("x", 500) + " a b": "3 fields",
	} {
		n, err := ParseNodes(text)
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("%.80q: %v, want %q", text, err, want)
		}
		if n.Lines != nil {
			t.Errorf("%.80q: %d lines beside the error", text, len(n.Lines))
		}
	}
}

func TestClusterInfoIsRead(t *testing.T) {
	got, err := ParseInfo("cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_current_epoch:7\r\ncluster_my_epoch:2\r\n")
	if err != nil || got != (Info{OK: true, CurrentEpoch: 7}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "cluster_state:ok", "cluster_state:good\ncluster_current_epoch:1", "cluster_state:fail\ncluster_current_epoch:x", strings.Repeat("a", 1<<17)} {
		if got, err := ParseInfo(bad); err == nil || got != (Info{}) {
			t.Errorf("%.40q is read as %+v", bad, got)
		}
	}
}

func TestRedirectionsAreRead(t *testing.T) {
	from := addrOf(t, "10.0.0.9:7009")
	for text, want := range map[string]Redirect{
		"MOVED 3999 127.0.0.1:6381":  {Slot: 3999, Addr: addrOf(t, "127.0.0.1:6381")},
		"ASK 0 redis-2.example:6381": {Ask: true, Addr: addrOf(t, "redis-2.example:6381")},
		"MOVED 16383 :6381":          {Slot: 16383, Addr: addrOf(t, "10.0.0.9:6381")},
		"MOVED 1 ?:6381":             {Slot: 1},
		"MOVED 1 ::1:6381":           {Slot: 1, Addr: addrOf(t, "[::1]:6381")},
		"MOVED 1 [::1]:6381":         {Slot: 1, Addr: addrOf(t, "[::1]:6381")},
		"MOVED 1 nowhere":            {Slot: 1},
		"MOVED 1 127.0.0.1:0":        {Slot: 1},
	} {
		if got, err := ParseRedirect(text, from); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "MOVED", "MOVED 1", "MOVED x a:1", "MOVED 16384 a:1", "moved 1 a:1", "MOVED 1 a:1 b", "MOVED 1 " + strings.Repeat("a", 600)} {
		if got, err := ParseRedirect(bad, from); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.40q: %+v, %v", bad, got, err)
		}
	}
	for text, want := range map[string]Fault{
		"MOVED 1 a:1": FaultMoved, "CLUSTERDOWN The cluster is down": FaultDown, "READONLY You can't": FaultDemoted,
		"LOADING Redis is": FaultLoading, "ERR no": FaultOther, "": FaultOther,
	} {
		if got := ReplyFault(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

func TestAnAnswerThatContradictsItselfIsRefused(t *testing.T) {
	master, err := ParseNodes(id("a") + " 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-4")
	must(t, err)
	replica, err := ParseNodes(id("a") + " 10.0.0.1:7000@17000 myself,slave " + id("b") + " 0 0 1 connected")
	must(t, err)
	odd := replica
	odd.Self.Slots = []slot.Range{{First: 1, Last: 2}}
	neither := master
	neither.Self.Flags = 0
	for _, tt := range []struct {
		role  sentinel.Role
		nodes Nodes
		repl  sentinel.Role
		ok    bool
	}{
		{sentinel.RoleMaster, master, sentinel.RoleMaster, true},
		{sentinel.RoleUnknown, master, sentinel.RoleUnknown, true}, // ROLE and INFO refused by the ACL
		{sentinel.RoleReplica, replica, sentinel.RoleReplica, true},
		{sentinel.RoleReplica, master, sentinel.RoleMaster, false},
		{sentinel.RoleMaster, master, sentinel.RoleReplica, false},
		{sentinel.RoleMaster, replica, sentinel.RoleReplica, false},
		{sentinel.RoleReplica, odd, sentinel.RoleReplica, false},
		{sentinel.RoleMaster, neither, sentinel.RoleMaster, false},
	} {
		a, err := NewAnswer(tt.role, tt.nodes, Info{OK: true}, sentinel.Replication{Role: tt.repl})
		if (err == nil) != tt.ok {
			t.Errorf("%v, %v, %v: %+v, %v", tt.role, tt.nodes.Self.Flags, tt.repl, a.Self, err)
		}
	}
}

func FuzzParseNodes(f *testing.F) {
	f.Add(id("a") + " 10.0.0.1:7000@17000,host myself,master - 0 0 1 connected 0-5460 [4->-" + id("c") + "]\n" + id("b") + " :0@0 slave,noaddr " + id("a") + " 0 0 1 connected")
	f.Add(id("a") + " ::1:7000@1,,a=b master,fail?,handshake - 0 0 9 x 1 2 3")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseNodes(text)
		if err != nil {
			if n.Lines != nil || !n.Self.ID.IsZero() || len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\r\n\x00\x1b") {
				t.Fatalf("%+v beside %q", n, err)
			}
			return
		}
		var all slot.Set
		count := 0
		for i, l := range n.Lines {
			checkAddr(t, l.Addr)
			checkAddr(t, l.Name)
			if i > 0 && slices.Compare(n.Lines[i-1].ID[:], l.ID[:]) >= 0 || l.Epoch < 0 || l.ID.IsZero() {
				t.Fatalf("line %d: %+v", i, l)
			}
			for _, r := range l.Slots {
				count += r.Len()
				all.AddRange(r)
			}
		}
		if len(n.Lines) > MaxNodes || all.Len() != count || find(n.Lines, n.Self.ID) == nil {
			t.Fatalf("%d lines, %d slots of %d", len(n.Lines), all.Len(), count)
		}
	})
}

func checkAddr(t testing.TB, a Addr) {
	t.Helper()
	if a.IsZero() {
		return
	}
	if a.Port == 0 || a.Host == "" || strings.ContainsAny(a.Host, " \t\r\n\x00/@[]?#") || len(a.Host) > 253 {
		t.Fatalf("%+v cannot be dialled", a)
	}
}

func FuzzParseRedirect(f *testing.F) {
	f.Add("MOVED 3999 127.0.0.1:6381")
	f.Add("ASK 1 [::1]:1")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRedirect(text, Addr{Host: "10.0.0.1", Port: 1})
		checkAddr(t, r.Addr)
		if r.Slot >= slot.Count || err != nil && (r != Redirect{} || strings.ContainsAny(err.Error(), "\r\n\x00\x1b")) {
			t.Fatalf("%+v, %v", r, err)
		}
	})
}

func FuzzParseInfo(f *testing.F) {
	f.Add("cluster_state:ok\r\ncluster_current_epoch:7\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		if i, err := ParseInfo(text); i.CurrentEpoch < 0 || err != nil && i != (Info{}) {
			t.Fatalf("%+v, %v", i, err)
		}
	})
}

// FuzzObserve: whatever a node of ours says, the machine does not panic, decides for
// no address that cannot be dialled, and keeps its bounds.
func FuzzObserve(f *testing.F) {
	f.Add(id("a")+" 10.0.0.1:7000@17000 myself,master - 0 0 9 connected 0-5460 [4->-"+id("c")+"]\n"+id("b")+" 10.0.0.2:1@1 slave "+id("a")+" 0 0 1 connected", uint8(0))
	f.Add("@0 10.0.0.1:7000@17000 myself,master - 0 0 9000000000 connected 0-16383\n@1 10.0.0.2:1@1 master,fail @0 0 0 1 connected", uint8(1))
	f.Fuzz(func(t *testing.T, text string, at uint8) {
		w := newWorld(t, 3, 1)
		for i, n := range w.nodes {
			text = strings.ReplaceAll(text, fmt.Sprint("@", i), n.id.String())
		}
		n, err := ParseNodes(text)
		if err != nil {
			return
		}
		a, err := NewAnswer(sentinel.RoleUnknown, n, Info{OK: true, CurrentEpoch: n.Self.Epoch}, sentinel.Replication{})
		if err != nil {
			return
		}
		for range 3 {
			w.feed(View{Node: w.nodes[int(at)%len(w.nodes)].addr, SentAt: w.now, At: w.now, Says: a})
			w.now = w.now.Add(time.Second)
			w.hearAll()
		}
		if len(w.m.nodes) > MaxNodes || len(w.d.Findings) > maxFindings || len(w.d.Asks) > MaxNodes+maxSeeds {
			t.Fatalf("%d nodes, %d findings, %d asked", len(w.m.nodes), len(w.d.Findings), len(w.d.Asks))
		}
		for _, sh := range w.d.Shards {
			checkAddr(t, sh.Master.Addr)
		}
		for _, ask := range w.d.Asks {
			checkAddr(t, ask.Addr)
		}
	})
}
