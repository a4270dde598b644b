package redisproc

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	a, b, c = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3" // nodes
	x, y, z = "127.0.0.1:7", "127.0.0.1:8", "127.0.0.1:9" // sentinels
)

// healthy is a set of three and three, its master at a.
func healthy() view {
	v := view{nodes: []nodeView{
		{addr: a, master: true, online: []string{b, c}},
		{addr: b, of: a, linked: true},
		{addr: c, of: a, linked: true},
	}}
	for _, s := range []string{x, y, z} {
		sv := sentinelView{addr: s, names: a, flags: "master", replicas: []peer{
			{addr: b, flags: "slave", linkStatus: "ok", of: a},
			{addr: c, flags: "slave", linkStatus: "ok", of: a},
		}}
		for _, other := range []string{x, y, z} {
			if other != s {
				sv.others = append(sv.others, peer{addr: other, flags: "sentinel"})
			}
		}
		v.sentinels = append(v.sentinels, sv)
	}
	return v
}

func TestHealthySetHasNoFaults(t *testing.T) {
	if got := healthy().faults(); len(got) != 0 {
		t.Errorf("faults = %q, want none", got)
	}
}

// A sentinel of Valkey 9.1 remembers what another one said in the last failover.
func TestWhatASentinelSaidOfTheMasterBeforeIsNoFault(t *testing.T) {
	v := healthy()
	for _, s := range v.sentinels {
		s.others[0].flags = "sentinel,master_down"
	}
	if got := v.faults(); len(got) != 0 {
		t.Errorf("faults = %q, want none", got)
	}
	v.sentinels[0].others[0].flags = "s_down,sentinel,master_down"
	if got := strings.Join(v.faults(), "\n"); !strings.Contains(got, "flags s_down") {
		t.Errorf("faults = %q, want one of a sentinel that is down", got)
	}
}

func TestEveryFaultIsSeen(t *testing.T) {
	gone := errors.New("connection refused")
	tests := []struct {
		name   string
		damage func(*view)
		want   string
	}{
		{"master dead", func(v *view) { v.nodes[0] = nodeView{addr: a, err: gone} }, "no master"},
		{"master demoted", func(v *view) { v.nodes[0] = nodeView{addr: a, of: b, linked: true} }, "no master"},
		{"no majority", func(v *view) { v.sentinels[0].names = b; v.sentinels[1].err = gone }, "no master"},
		{"replica dead", func(v *view) { v.nodes[1] = nodeView{addr: b, err: gone} }, "node " + b + ": connection refused"},
		{"second master", func(v *view) { v.nodes[1] = nodeView{addr: b, master: true} }, "node " + b + " says it is a master"},
		{"replica of another", func(v *view) { v.nodes[1].of = c }, "node " + b + " follows " + c},
		{"replica not in sync", func(v *view) { v.nodes[1].linked = false }, "in sync: false"},
		{"master misses a replica", func(v *view) { v.nodes[0].online = []string{c} }, "replica " + b + " is not in sync"},
		{"sentinel dead", func(v *view) { v.sentinels[2].err = gone }, "sentinel " + z + ": connection refused"},
		{"sentinel names another", func(v *view) { v.sentinels[2].names = b }, "names " + b},
		{"failover under way", func(v *view) { v.sentinels[2].flags = "master,failover_in_progress" }, "failover_in_progress"},
		{"no quorum", func(v *view) { v.sentinels[2].quorum = errors.New("NOQUORUM 1 usable") }, "NOQUORUM"},
		{"replica unknown", func(v *view) { v.sentinels[2].replicas = v.sentinels[2].replicas[:1] }, "does not know replica " + c},
		{"replica down", func(v *view) { v.sentinels[2].replicas[0].flags = "s_down,slave" }, "flags s_down,slave"},
		{"replica's link down", func(v *view) { v.sentinels[2].replicas[0].linkStatus = "err" }, "link err"},
		{"replica seen to follow another", func(v *view) { v.sentinels[2].replicas[0].of = c }, "of " + c},
		{"sentinel unknown", func(v *view) { v.sentinels[2].others = nil }, "does not know sentinel " + x},
		{"sentinel disconnected", func(v *view) { v.sentinels[2].others[0].flags = "sentinel,disconnected" }, "sentinel,disconnected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := healthy()
			tt.damage(&v)
			if got := strings.Join(v.faults(), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("faults = %q, want one with %q", got, tt.want)
			}
		})
	}
}

func TestMasterNeedsAMajorityOfAllSentinelsAndItsOwnWord(t *testing.T) {
	silent := errors.New("no answer")
	tests := []struct {
		name   string
		damage func(*view)
		want   string
	}{
		{"all agree", func(*view) {}, a},
		{"one behind", func(v *view) { v.sentinels[0].names = b }, a},
		{"one silent", func(v *view) { v.sentinels[0].err = silent }, a},
		{"two silent: one is no majority of three", func(v *view) { v.sentinels[0].err, v.sentinels[1].err = silent, silent }, ""},
		{"named but not a master", func(v *view) { v.nodes[0].master = false }, ""},
		{"master but not named", func(v *view) { v.sentinels[0].names, v.sentinels[1].names = b, b }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := healthy()
			tt.damage(&v)
			if got := v.master(); got != tt.want {
				t.Errorf("master = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseRole(t *testing.T) {
	tests := []struct {
		name string
		in   any
		want nodeView
	}{
		{
			"master",
			[]any{"master", int64(9), []any{[]any{"127.0.0.1", "2", "9"}, []any{"127.0.0.1", "3", "9"}}},
			nodeView{master: true, online: []string{b, c}},
		},
		{"replica in sync", []any{"slave", "127.0.0.1", int64(1), "connected", int64(9)}, nodeView{of: a, linked: true}},
		{"replica connecting", []any{"slave", "127.0.0.1", int64(1), "connect", int64(-1)}, nodeView{of: a}},
		{"sentinel", []any{"sentinel", []any{"mymaster"}}, nodeView{err: errStrange}},
		{"nothing", nil, nodeView{err: errStrange}},
		{"nonsense", []any{"master", int64(9), []any{"x", []any{}}}, nodeView{master: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := parseRole(tt.in)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(nodeView{}), cmpopts.EquateErrors()); d != "" {
				t.Errorf("parseRole (-want +got):\n%s", d)
			}
		})
	}
}

func TestEveryFaultInTheSetOptionsIsNamed(t *testing.T) {
	err := SetOptions{MasterName: "two words", Replicas: -1, Sentinels: 3, Quorum: 4, DownAfter: 1}.withDefaults().validate()
	if err == nil {
		t.Fatal("validate = nil")
	}
	for _, want := range []string{"MasterName", "Replicas", "Quorum", "DownAfter"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}

func TestSetDefaults(t *testing.T) {
	got := SetOptions{}.withDefaults()
	want := SetOptions{
		MasterName: "mymaster", Replicas: 2, Sentinels: 3, Quorum: 2,
		DownAfter: 500 * time.Millisecond, FailoverTimeout: 10 * time.Second, StartTimeout: time.Minute,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("defaults (-want +got):\n%s", d)
	}
	if err := got.validate(); err != nil {
		t.Error(err)
	}
}
