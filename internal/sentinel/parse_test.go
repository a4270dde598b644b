package sentinel

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func addrOf(t testing.TB, s string) Addr {
	t.Helper()
	a, err := SplitAddr(s)
	must(t, err)
	return a
}

func TestMessagesAreRead(t *testing.T) {
	a, b, v6 := addrOf(t, "10.0.0.1:6379"), addrOf(t, "redis-2:6380"), addrOf(t, "[::1]:7000")
	for _, c := range []struct {
		channel, message string
		want             Message
	}{
		{"+sdown", "master mymaster 10.0.0.1 6379", Message{Kind: KindSDown, Subject: SubjectMaster, Name: "mymaster", Addr: a, Master: a}},
		{"+odown", "master mymaster 10.0.0.1 6379 #quorum 3/2", Message{Kind: KindODown, Subject: SubjectMaster, Name: "mymaster", Addr: a, Master: a}},
		{"+sdown", "slave redis-2:6380 redis-2 6380 @ mymaster 10.0.0.1 6379", Message{Kind: KindSDown, Subject: SubjectReplica, Name: "mymaster", Addr: b, Master: a}},
		{"-sdown", "sentinel 0fd6ff40d6bd76cffb290505ff270feb9a6b8819 ::1 7000 @ mymaster 10.0.0.1 6379", Message{Kind: KindSDownEnd, Subject: SubjectSentinel, Name: "mymaster", Addr: v6, Master: a}},
		{"-role-change", "slave x ::1 7000 @ mymaster 10.0.0.1 6379 new reported role is master", Message{Kind: KindHint, Subject: SubjectReplica, Name: "mymaster", Addr: v6, Master: a}},
		{"+switch-master", "mymaster 10.0.0.1 6379 redis-2 6380", Message{Kind: KindSwitchMaster, Subject: SubjectMaster, Name: "mymaster", Addr: b, Master: a}},
		{"+new-epoch", "12", Message{Kind: KindNewEpoch, Epoch: 12}},
		{"+tilt", "#tilt mode entered", Message{Kind: KindTilt}},
		{"+failover-state-wait-promotion", "slave x redis-2 6380 @ mymaster 10.0.0.1 6379", Message{Kind: KindPromoting, Subject: SubjectReplica, Name: "mymaster", Addr: b, Master: a}},
		{"+failover-state-of-later-versions", "master mymaster 10.0.0.1 6379", Message{Kind: KindElected, Subject: SubjectMaster, Name: "mymaster", Addr: a, Master: a}},
		{"-failover-abort-of-later-versions", "master mymaster 10.0.0.1 6379", Message{Kind: KindAbortSlaveTimeout, Subject: SubjectMaster, Name: "mymaster", Addr: a, Master: a}},
		{"+vote-for-leader", "0fd6 1", Message{}},
		{"__sentinel__:hello", "anything", Message{}},
	} {
		got, err := ParseMessage(c.channel, c.message)
		if err != nil || got != c.want {
			t.Errorf("%s %q = %+v, %v, want %+v", c.channel, c.message, got, err, c.want)
		}
	}
}

func TestMessagesThatMakeNoSenseAreErrors(t *testing.T) {
	for _, c := range [][2]string{
		{"+sdown", ""},
		{"+sdown", "master mymaster"},
		{"+sdown", "master mymaster 10.0.0.1 0"},
		{"+sdown", "cluster mymaster 10.0.0.1 6379"},
		{"+sdown", "slave x 10.0.0.2 6379"},
		{"+sdown", "slave x 10.0.0.2 6379 @ mymaster 10.0.0.1 99999"},
		{"+sdown", "slave x 10.0.0.2 6379 at mymaster 10.0.0.1 6379"},
		{"+switch-master", "mymaster 10.0.0.1 6379 0.0.0.0 6379"},
		{"+switch-master", "mymaster 10.0.0.1 6379 10.0.0.2"},
		{"+new-epoch", "-1"},
		{"+new-epoch", "99999999999999999999"},
		{"+try-failover", "master mymaster 10.0.0.1 6379 " + strings.Repeat("x", maxMessage)},
	} {
		if got, err := ParseMessage(c[0], c[1]); err == nil || got != (Message{}) {
			t.Errorf("%s %q = %+v, %v, want an error", c[0], c[1], got, err)
		}
	}
}

func masterFields() map[string]string {
	return map[string]string{
		"name": "mymaster", "ip": "10.0.0.1", "port": "6379", "runid": strings.Repeat("a", 40),
		"flags": "s_down,o_down,master,disconnected,failover_in_progress,force_failover", "config-epoch": "3",
		"num-other-sentinels": "2", "quorum": "2", "failover-state": "wait_promotion",
		"down-after-milliseconds": "1500", "failover-timeout": "10000",
	}
}

func TestSentinelMasterIsRead(t *testing.T) {
	got, err := ParseMaster(masterFields())
	want := MasterView{
		Name: "mymaster", Addr: addrOf(t, "10.0.0.1:6379"), RunID: strings.Repeat("a", 40),
		Flags: FlagMaster | FlagSDown | FlagODown | FlagDisconnected | FlagFailover | FlagForced,
		Epoch: 3, OtherSentinels: 2, Quorum: 2, Progress: ProgressSelected,
		DownAfter: 1500 * time.Millisecond, FailoverTimeout: 10 * time.Second,
	}
	if err != nil || got != want {
		t.Errorf("ParseMaster = %+v, %v, want %+v", got, err, want)
	}
	f := masterFields()
	f["failover-state"] = "a_later_one"
	if got, err := ParseMaster(f); err != nil || got.Progress != ProgressCandidate {
		t.Errorf("ParseMaster = %+v, %v, want a candidate", got, err)
	}
}

func TestSentinelMasterWithNonsenseIsAnError(t *testing.T) {
	for field, bad := range map[string]string{
		"ip": "", "port": "0", "flags": "slave", "config-epoch": "x", "num-other-sentinels": "1000000", "quorum": "-2", "failover-timeout": "1e9",
	} {
		f := masterFields()
		f[field] = bad
		if got, err := ParseMaster(f); err == nil || got != (MasterView{}) {
			t.Errorf("%s = %q: %+v, %v, want an error", field, bad, got, err)
		}
	}
	if _, err := ParseMaster(nil); err == nil {
		t.Error("nothing is taken for an answer")
	}
}

func TestListsKeepWhatIsGoodInThem(t *testing.T) {
	good := map[string]string{"ip": "10.0.0.2", "port": "6379", "flags": "slave,promoted", "slave-priority": "100", "master-host": "?", "master-port": "0", "master-link-status": "err"}
	bad := map[string]string{"ip": "10.0.0.3", "port": "0", "flags": "slave", "slave-priority": "100"}
	odd := map[string]string{"ip": "10.0.0.4", "port": "6379", "flags": "slave", "slave-priority": "many"}
	got, err := ParseReplicas([]map[string]string{bad, good, odd})
	want := []ReplicaView{{Addr: addrOf(t, "10.0.0.2:6379"), Flags: FlagReplica | FlagPromoted, Priority: 100}}
	if err == nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ParseReplicas = %+v, %v, want %+v and an error", got, err, want)
	}
	peers, err := ParseSentinels([]map[string]string{{"ip": "::1", "port": "26379", "runid": "x", "flags": "sentinel,s_down"}, {}})
	if err == nil || len(peers) != 1 || peers[0].ID != "" || peers[0].Addr.String() != "[::1]:26379" || !peers[0].Flags.Has(FlagSDown) {
		t.Errorf("ParseSentinels = %+v, %v", peers, err)
	}
	many := make([]map[string]string, 1000)
	for i := range many {
		many[i] = good
	}
	if got, err := ParseReplicas(many); len(got) != MaxListed || err == nil {
		t.Errorf("%d of 1000 entries taken, %v", len(got), err)
	}
}

func TestRolesAreRead(t *testing.T) {
	for _, c := range []struct {
		reply []any
		want  RoleReply
	}{
		{[]any{"master", int64(9), []any{[]any{"10.0.0.2", "6379", "9"}, []any{"?", "0", "0"}, "x", []any{}}}, RoleReply{Role: RoleMaster, Replicas: []Addr{addrOf(t, "10.0.0.2:6379")}}},
		{[]any{"slave", "::1", int64(6379), "connect", int64(-1)}, RoleReply{Role: RoleReplica, Master: addrOf(t, "[::1]:6379")}},
		{[]any{[]byte("slave"), "", int64(0), "handshake", int64(-1)}, RoleReply{Role: RoleReplica}},
	} {
		got, err := ParseRole(c.reply)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("ParseRole(%v) = %+v, %v, want %+v", c.reply, got, err, c.want)
		}
	}
	for _, bad := range [][]any{nil, {}, {"sentinel", []any{"mymaster"}}, {"master"}, {"master", 1, "x"}, {"slave", "h"}, {nil}, {1.5}} {
		if got, err := ParseRole(bad); err == nil {
			t.Errorf("ParseRole(%v) = %+v, want an error", bad, got)
		}
	}
}

const masterInfo = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n" +
	"slave0:ip=10.0.0.2,port=6379,state=online,offset=9,lag=0\r\nslave1:ip=0.0.0.0,port=6379,state=online,offset=9,lag=0\r\n" +
	"slave_expires_tracked_keys:0\r\nslaves_waiting_psync:0\r\n" +
	"master_replid:14ccdbc144d708c23ded047620b274838fe3c7a7\r\nmaster_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:9\r\n"

func TestInfoIsRead(t *testing.T) {
	got, err := ParseReplication(masterInfo)
	want := Replication{Role: RoleMaster, ReplID: "14ccdbc144d708c23ded047620b274838fe3c7a7", Offset: 9, Replicas: []Attached{{Addr: addrOf(t, "10.0.0.2:6379"), State: "online", Online: true, Offset: 9}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ParseReplication = %+v, %v, want %+v", got, err, want)
	}
	got, err = ParseReplication("role:slave\nmaster_host:redis-1\nmaster_port:6379\nmaster_link_status:up\nmaster_replid:xyz\n")
	if err != nil || got.Role != RoleReplica || got.Master != addrOf(t, "redis-1:6379") || !got.LinkUp || got.ReplID != "" {
		t.Errorf("ParseReplication = %+v, %v", got, err)
	}
	for _, bad := range []string{"", "role:", "role:king", "-ERR unknown command", strings.Repeat("a", maxInfo+1)} {
		if got, err := ParseReplication(bad); err == nil {
			t.Errorf("ParseReplication(%.20q) = %+v, want an error", bad, got)
		}
	}
}

func TestAnAnswerThatContradictsItselfIsNone(t *testing.T) {
	master, replica := RoleReply{Role: RoleMaster}, RoleReply{Role: RoleReplica}
	if _, err := NewAnswer(replica, Replication{Role: RoleMaster}, ""); err == nil {
		t.Error("a promotion between two questions went unnoticed")
	}
	if _, err := NewAnswer(RoleReply{}, Replication{}, ""); err == nil {
		t.Error("no role is an answer")
	}
	a, err := NewAnswer(master, Replication{Role: RoleMaster, ReplID: "x"}, strings.Repeat("b", 40))
	if err != nil || a.Role != RoleMaster || a.RunID != strings.Repeat("b", 40) {
		t.Errorf("NewAnswer = %+v, %v", a, err)
	}
}

func TestErrorRepliesAreToldApart(t *testing.T) {
	for text, want := range map[string]Fault{
		"READONLY You can't write against a read only replica.":            FaultReadOnly,
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data": FaultMasterDown,
		"LOADING Redis is loading the dataset in memory":                   FaultLoading,
		"NOREPLICAS Not enough good replicas to write.":                    FaultNoReplicas,
		"ERR No such master with that name":                                FaultNoMaster,
		"NOPERM this user has no permissions":                              FaultOther,
		"":                                                                 FaultOther,
	} {
		if got := ReplyFault(text); got != want {
			t.Errorf("ReplyFault(%q) = %d, want %d", text, got, want)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	for channel := range kinds {
		f.Add(channel, "master mymaster 127.0.0.1 6379")
		f.Add(channel, "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379 #x")
	}
	f.Add("+switch-master", "mymaster 127.0.0.1 6379 ::1 6380")
	f.Add("+new-epoch", "7")
	f.Fuzz(func(t *testing.T, channel, message string) {
		m, err := ParseMessage(channel, message)
		if err != nil && m != (Message{}) {
			t.Fatalf("%+v and %v", m, err)
		}
		if m.Epoch < 0 || len(m.Name) > maxMessage {
			t.Fatalf("%+v", m)
		}
		checkAddr(t, m.Addr)
		checkAddr(t, m.Master)
	})
}

// fieldsOf makes a field map of fuzzed text: "name=value" per line.
func fieldsOf(text string) map[string]string {
	f := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		k, v, _ := strings.Cut(line, "=")
		f[k] = v
	}
	return f
}

func FuzzParseFields(f *testing.F) {
	var text strings.Builder
	for k, v := range masterFields() {
		text.WriteString(k + "=" + v + "\n")
	}
	f.Add(text.String())
	f.Add("ip=10.0.0.2\nport=6379\nflags=slave,promoted\nslave-priority=100\nmaster-host=?\nmaster-port=0")
	f.Add("ip=::1\nport=26379\nrunid=0fd6ff40d6bd76cffb290505ff270feb9a6b8819\nflags=sentinel")
	f.Fuzz(func(t *testing.T, text string) {
		fields := fieldsOf(text)
		if m, err := ParseMaster(fields); err == nil {
			checkAddr(t, m.Addr)
			if m.Addr.IsZero() || m.Epoch < 0 || m.OtherSentinels < 0 || m.OtherSentinels > maxSentinels || m.FailoverTimeout < 0 {
				t.Fatalf("%+v", m)
			}
		}
		replicas, _ := ParseReplicas([]map[string]string{fields})
		for _, r := range replicas {
			checkAddr(t, r.Addr)
			checkAddr(t, r.Master)
		}
		peers, _ := ParseSentinels([]map[string]string{fields})
		for _, p := range peers {
			checkAddr(t, p.Addr)
		}
	})
}

func FuzzParseRole(f *testing.F) {
	f.Add("master", "10.0.0.1", "6379", int64(6379), uint8(0))
	f.Add("slave", "?", "0", int64(0), uint8(1))
	f.Fuzz(func(t *testing.T, role, host, port string, number int64, shape uint8) {
		shapes := [][]any{
			{role, number, []any{[]any{host, port, "0"}, []any{host}, number}},
			{role, host, number, "connected", number},
			{role, []byte(host), port},
			{role, host},
			{[]any{role}, host, port},
			{number, role, []any{[]any{[]any{host}, port}}},
		}
		r, err := ParseRole(shapes[int(shape)%len(shapes)])
		if err != nil && r.Role != RoleUnknown {
			t.Fatalf("%+v and %v", r, err)
		}
		checkAddr(t, r.Master)
		for _, a := range r.Replicas {
			checkAddr(t, a)
		}
	})
}

func FuzzParseReplication(f *testing.F) {
	f.Add(masterInfo)
	f.Add("role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseReplication(text)
		if err != nil && r.Role != RoleUnknown {
			t.Fatalf("%+v and %v", r, err)
		}
		checkAddr(t, r.Master)
		if len(r.Replicas) > MaxListed || r.Offset < 0 {
			t.Fatalf("%d replicas, offset %d", len(r.Replicas), r.Offset)
		}
		for _, a := range r.Replicas {
			checkAddr(t, a.Addr)
		}
	})
}

// FuzzObserve: nothing that arrives makes the machine panic, decide for an
// address that cannot be dialled, or grow.
func FuzzObserve(f *testing.F) {
	f.Add("+try-failover", "master shop 10.0.0.1 7001", "ip=10.0.0.1\nport=7001\nflags=master\nconfig-epoch=9\nnum-other-sentinels=0\nquorum=0", "role:master")
	f.Add("+switch-master", "shop 10.0.0.1 7001 10.0.0.1 7002", "", "role:slave\nmaster_host:?\nmaster_port:0")
	f.Fuzz(func(t *testing.T, channel, message, text, info string) {
		w := newWorld(t)
		w.clock++
		w.feed(Event{Sentinel: w.guard[0].addr, At: at(w.clock), Channel: channel, Message: message})
		if m, err := ParseMaster(fieldsOf(text)); err == nil {
			w.feed(Poll{Sentinel: w.guard[1].addr, SentAt: at(w.clock), At: at(w.clock), Named: m.Addr, Master: m})
		}
		if r, err := ParseReplication(info); err == nil {
			a, err := NewAnswer(RoleReply{Role: r.Role, Master: r.Master}, r, r.RunID)
			for _, n := range w.d.Probes {
				if err == nil {
					w.feed(Probe{Node: n, SentAt: at(w.clock), At: at(w.clock), Says: a})
				}
			}
		}
		w.run(200)
		checkAddr(t, w.d.Master)
		for _, a := range append(w.d.Probes, w.d.Sentinels...) {
			checkAddr(t, a)
		}
		w.m.Status()
	})
}
