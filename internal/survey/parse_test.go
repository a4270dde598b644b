package survey

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/internal/remote"
)

func TestParseRole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		in   []any
		want Role
	}{
		{"a master", []any{"master", int64(7), []any{[]any{"10.0.0.2", "6379", "7"}, []any{"bad"}}}, Role{Name: "master", Replicas: []Attached{{Addr: "10.0.0.2:6379"}}}},
		{"a replica", []any{"slave", "10.0.0.1", int64(6379), "connected", int64(42)}, Role{Name: "replica", Master: "10.0.0.1:6379", Link: "connected", Offset: 42}},
		{"a replica of nobody", []any{"slave", "?", int64(0), "connect", int64(-1)}, Role{Name: "replica", Link: "connect", Offset: -1}},
		{"half a replica", []any{"slave"}, Role{}},
		{"a sentinel", []any{"sentinel", []any{"mymaster"}}, Role{}},
		{"nothing", nil, Role{}},
	} {
		if d := cmp.Diff(tt.want, parseRole(tt.in)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestWhatRoleSaysCountsMoreThanInfo(t *testing.T) {
	t.Parallel()
	info := roleOfInfo("role:master\r\nmaster_repl_offset:9\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=9,lag=1\r\n")
	want := Role{Name: "master", Offset: 9, Replicas: []Attached{{"10.0.0.2:6379", "online", 9, time.Second}}}
	if d := cmp.Diff(want, info.with(Role{Name: "master", Replicas: []Attached{{Addr: "10.0.0.2:6379"}}})); d != "" {
		t.Errorf("of a master (-want +got):\n%s", d)
	}
	demoted := Role{Name: "replica", Master: "10.0.0.2:6379"}
	if d := cmp.Diff(demoted, info.with(demoted)); d != "" {
		t.Errorf("of one that was just demoted (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want, want.with(Role{})); d != "" {
		t.Errorf("where ROLE is forbidden (-want +got):\n%s", d)
	}
	down := roleOfInfo("role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n")
	if d := cmp.Diff(Role{Name: "replica", Master: "10.0.0.1:6379", Link: "connect"}, down); d != "" {
		t.Errorf("of a replica without a link (-want +got):\n%s", d)
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   any
		want time.Time
	}{
		{[]any{"1700000000", "5"}, time.Unix(1700000000, 5000)},
		{[]any{"1700000000"}, time.Time{}},
		{[]any{"-1", "5"}, time.Time{}},
		{[]any{"99999999999999", "5"}, time.Time{}},
		{[]any{"x", "y"}, time.Time{}},
		{nil, time.Time{}},
	} {
		if got := parseTime(tt.in); !got.Equal(tt.want) {
			t.Errorf("parseTime(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
	var none Clock
	if _, _, ok := none.Ahead(); ok {
		t.Error("a clock that is not known is known")
	}
	at := time.Unix(1700000000, 0)
	c := Clock{Before: at, Theirs: at.Add(3 * time.Second), After: at.Add(2 * time.Second)}
	if ahead, uncertainty, ok := c.Ahead(); ahead != 2*time.Second || uncertainty != time.Second || !ok {
		t.Errorf("ahead %v ± %v, %v", ahead, uncertainty, ok)
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	f := parseFields([]any{"ip", "10.0.0.1", "port", "26379", "flags", "sentinel,s_down", "config-epoch", "4", "down-after-milliseconds", "1500", "odd"})
	if f.Addr() != "10.0.0.1:26379" || !f.Flag("s_down") || f.Flag("o_down") {
		t.Errorf("fields %v", f)
	}
	if n, ok := f.Int("config-epoch"); n != 4 || !ok {
		t.Errorf("config-epoch = %d, %v", n, ok)
	}
	if d, ok := f.Millis("down-after-milliseconds"); d != 1500*time.Millisecond || !ok {
		t.Errorf("down-after = %v, %v", d, ok)
	}
	if _, ok := f.Int("missing"); ok {
		t.Error("a missing field is a number")
	}
	if _, ok := (Fields{"d": "-5"}).Millis("d"); ok {
		t.Error("a negative time is one")
	}
	for _, dead := range []Fields{{"ip": "10.0.0.1", "port": "0"}, {"ip": "", "port": "1"}, {"ip": "0.0.0.0", "port": "1"}, nil} {
		if a := dead.Addr(); a != "" {
			t.Errorf("%v is dialled at %s", dead, a)
		}
	}
	if d := cmp.Diff(Fields{"a": "1"}, parseFields(map[string]any{"a": "1"})); d != "" {
		t.Errorf("of a map (-want +got):\n%s", d)
	}
}

func TestFieldsAreBounded(t *testing.T) {
	t.Parallel()
	var many []any
	for range 4000 {
		many = append(many, strings.Repeat("n", len(many)%900), strings.Repeat("v", 5000))
	}
	for name, value := range parseFields(many) {
		if len(name) > maxValue || len(value) > maxValue {
			t.Fatalf("%d bytes, %d bytes", len(name), len(value))
		}
	}
	if n := len(parseFields(many)); n > maxFields {
		t.Errorf("%d fields", n)
	}
	list := make([]any, 1000)
	for i := range list {
		list[i] = []any{"a", "b"}
	}
	if n := len(parseList(list)); n != maxList {
		t.Errorf("%d entries", n)
	}
}

func TestForbids(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reply, how string
		want       bool
	}{
		{"OK", RightsDryRun, false},
		{"This user has no permissions to run the 'get' command", RightsDryRun, true},
		{"User app has no permissions to access the 'k' key", RightsDryRun, true},
		{"ERR wrong number of arguments for 'hset' command", RightsDryRun, false},
		{"NOPERM this user has no permissions to run the 'get' command", RightsTried, true},
		{"READONLY You can't write against a read only replica.", RightsTried, false},
	} {
		if got := forbids(tt.reply, tt.how); got != tt.want {
			t.Errorf("%s: %q forbids: %v", tt.how, tt.reply, got)
		}
	}
}

func TestRightsOf(t *testing.T) {
	t.Parallel()
	trials := [][]string{{"GET", "k"}, {"CLIENT", "TRACKING", "off"}, {"EVAL", "return 1", "0"}, {"SET", "k", ""}}
	failed := func(text string) remote.Reply { return remote.Reply{Err: errors.New(text)} }
	for _, tt := range []struct {
		how string
		r   []remote.Reply
	}{
		{RightsDryRun, []remote.Reply{{Value: "OK"}, {Value: "User app has no permissions to run the 'client|tracking' command"}, failed("Command 'eval' not found"), failed("wrong number of arguments")}},
		{RightsTried, []remote.Reply{{}, failed("NOPERM this user has no permissions to run the 'client|tracking' command"), failed("unknown command 'EVAL', with args beginning with: ***"), failed("ERR invalid expire time")}},
	} {
		want := Rights{How: tt.how, Denied: []string{"CLIENT TRACKING"}, Missing: []string{"EVAL"}}
		if d := cmp.Diff(want, rightsOf(trials, tt.r, tt.how)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.how, d)
		}
	}
}

func TestAPasswordOfAServerIsOnlyHashed(t *testing.T) {
	t.Parallel()
	const secret = "canary-of-a-server"
	master, replica, other := newNode("requirepass", secret), newNode("masterauth", secret), newNode("masterauth", "other")
	if fits, known := replica.Fits(*master); !fits || !known {
		t.Errorf("the same: %v, %v", fits, known)
	}
	if fits, known := other.Fits(*master); fits || !known {
		t.Errorf("another: %v, %v", fits, known)
	}
	if _, known := master.Fits(*master); known {
		t.Error("without masterauth it is not known")
	}
	if replica.Config["masterauth"] != IsSet || strings.Contains(replica.secrets["masterauth"], secret) {
		t.Errorf("kept: %v, %v", replica.Config, replica.secrets)
	}
	n := newNode("requirepass", "")
	if v, ok := n.Config["requirepass"]; v != "" || !ok {
		t.Errorf("one that is not set is kept as %q, %v", v, ok)
	}
}

func newNode(parameter, secret string) *Node {
	n := &Node{Config: Fields{}, secrets: map[string]string{}}
	n.parameter(parameter, true, remote.Reply{Value: []any{parameter, secret}}, []byte("key"))
	return n
}

func TestEachProcessIsListedOnce(t *testing.T) {
	t.Parallel()
	node := func(addr, run string, configured bool) Node {
		return Node{Server: Server{Addr: addr, Configured: configured, Info: Fields{"run_id": run}, NamedBy: []string{"by " + addr}}}
	}
	all := nodes.merge([]Node{node("redis-1:6379", "a", true), node("10.0.0.2:6379", "b", false), node("10.0.0.1:6379", "a", false), node("dead:1", "", false), node("dead:2", "", false)})
	nodes.order(all)
	var got []string
	for _, n := range all {
		got = append(got, strings.Join(n.Names(), "="))
	}
	if d := cmp.Diff([]string{"redis-1:6379=10.0.0.1:6379", "10.0.0.2:6379", "dead:1", "dead:2"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(all[0].NamedBy) != 2 {
		t.Errorf("it is named by %v", all[0].NamedBy)
	}
}

// In a container network the others know a sentinel by an address that does not lead there
// from here: it is the same one by its id, and is not asked again.
func TestASentinelIsKnownByItsID(t *testing.T) {
	t.Parallel()
	peer := func(n, id string) Fields { return Fields{"ip": "172.18.0." + n, "port": "26379", "runid": id} }
	l := look{s: &Survey{Sentinels: []Sentinel{
		{Server: Server{Addr: "localhost:1", Configured: true}, ID: "a", Peers: []Fields{peer("2", "b"), peer("9", "gone")}},
		{Server: Server{Addr: "localhost:2", Configured: true}, ID: "b", Peers: []Fields{peer("1", "a"), peer("9", "gone"), {"ip": "?", "port": "0", "runid": "a"}}},
	}}}
	otherNames(l.s.Sentinels)
	if d := cmp.Diff([][]string{{"172.18.0.1:26379"}, {"172.18.0.2:26379"}}, [][]string{l.s.Sentinels[0].Aliases, l.s.Sentinels[1].Aliases}); d != "" {
		t.Errorf("aliases (-want +got):\n%s", d)
	}
	more := l.unknown(peersOf(l.s.Sentinels), func(a string) bool { return sentinels.known(l.s.Sentinels, a) })
	if d := cmp.Diff([]string{"172.18.0.9:26379"}, more); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
	l.tidy()
	if len(l.s.Sentinels[0].NamedBy) != 1 {
		t.Errorf("named by %v", l.s.Sentinels[0].NamedBy)
	}
}

// A node that only one of three sentinels names gets no password; one of the address
// map does.
func TestWhoGetsAPassword(t *testing.T) {
	t.Parallel()
	l := look{Target: Target{AddressMap: map[string]string{"mapped:6379": "127.0.0.1:1"}}, s: &Survey{}}
	r := roster{"one:6379": {"s1"}, "two:6379": {"s1", "s2"}, "mapped:6379": {"s1"}}
	got := map[string]bool{}
	for _, n := range l.named(r, func(by []string) bool { return majority(len(by), 3) }) {
		got[n.Addr] = !n.Anonymous
	}
	if d := cmp.Diff(map[string]bool{"one:6379": false, "two:6379": true, "mapped:6379": true}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNoMoreServersAreAskedThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	l := look{s: &Survey{}}
	r := roster{}
	for i := range MaxServers + 20 {
		r.add(address("10.0.0.1", word(int64(i+1))), "s1")
	}
	if more := l.unknown(r, func(string) bool { return false }); len(more) != MaxServers || len(l.s.Left) != 20 {
		t.Errorf("%d are asked, %d are left", len(more), len(l.s.Left))
	}
}

func TestUsersNamed(t *testing.T) {
	t.Parallel()
	const clients = "id=3 addr=127.0.0.1:1 name=sentinel-0a1b-cmd db=0 user=monitor lib-name=\nid=4 name= user=app\nid=5 name=sentinel-9 user=monitor\nname=sentinel-x\n"
	if d := cmp.Diff([]string{"monitor"}, usersNamed(clients, "sentinel-")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func FuzzReplies(f *testing.F) {
	f.Add("role:master\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=9,lag=1\r\n", "slave", "10.0.0.1", int64(6379))
	f.Add("redis_version:7.0.15\n# x\n:", "master", "", int64(-1))
	f.Fuzz(func(t *testing.T, text, a, b string, n int64) {
		bounded := func(fields Fields) {
			for name, value := range fields {
				if len(name) > maxValue || len(value) > maxValue || strings.ContainsAny(name+value, "\n\r\x1b") {
					t.Errorf("kept %q: %q", name, value)
				}
			}
		}
		bounded(parseInfo(text))
		bounded(parseFields([]any{a, b, text, n, n}))
		for _, one := range parseList([]any{[]any{a, b}, text, map[string]any{a: b}}) {
			bounded(one)
		}
		r := roleOfInfo(text).with(parseRole([]any{a, b, n, a, n}))
		if strings.ContainsAny(r.Link+r.Master, "\n\r\x1b") {
			t.Errorf("role %+v", r)
		}
		parseRole([]any{a, n, []any{[]any{b, a, n}, n}})
		parseTime([]any{a, b})
		named([]any{a, b})
		secretOf([]any{a, b})
		forbids(text, RightsDryRun)
		for _, user := range usersNamed(text, a) {
			if len(user) > maxValue || strings.ContainsAny(user, "\n\x1b") {
				t.Errorf("user %q", user)
			}
		}
	})
}
