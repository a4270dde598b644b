package findings

import (
	"slices"
	"testing"

	"github.com/evercache/evercache/health"
)

func TestSentinelFindings(t *testing.T) {
	well := func() *health.Sentinel {
		return &health.Sentinel{
			CurrentMaster: "n1:6379", Stage: "clear", Known: 3, Reachable: 3, Agreeing: 3, Needed: 2, Quorum: 2, CanFailOver: true,
			Sentinels: []health.SentinelNode{{Addr: "s1:1", Reachable: true}, {Addr: "s2:1", Reachable: true}, {Addr: "s3:1", Reachable: true}},
			Nodes:     []health.Node{{Addr: "n1:6379", Role: "master"}, {Addr: "n2:6379", Role: "replica", Promotable: true}},
		}
	}
	tests := []struct {
		name  string
		spoil func(*health.Sentinel)
		want  []string
	}{
		{"all well", func(*health.Sentinel) {}, nil},
		{"one sentinel is gone", func(h *health.Sentinel) { h.Reachable, h.Sentinels[2].Reachable = 2, false }, []string{"sentinel-unreachable"}},
		{"too few sentinels", func(h *health.Sentinel) { h.Reachable, h.CanFailOver = 1, false }, []string{"sentinel-no-quorum"}},
		{"one in tilt", func(h *health.Sentinel) { h.Sentinels[0].Tilt = true }, []string{"sentinel-tilt"}},
		{"one names others", func(h *health.Sentinel) { h.Sentinels[2].Differs, h.Sentinels[2].Alone = true, []string{"n9:1"} }, []string{"sentinel-disagrees"}},
		{"one names another master", func(h *health.Sentinel) { h.Sentinels[2].Differs, h.Sentinels[2].Names = true, "n2:6379" }, []string{"sentinel-disagrees"}},
		{"a password without TLS", func(h *health.Sentinel) { h.Plaintext = []string{"n1:6379"} }, []string{"sentinel-plaintext"}},
		{"nonsense", func(h *health.Sentinel) { h.Rejected = 4 }, []string{"sentinel-nonsense"}},
		{"no replica", func(h *health.Sentinel) { h.Nodes = h.Nodes[:1] }, []string{"sentinel-no-replica"}},
		{"provisional", func(h *health.Sentinel) { h.Provisional, h.Stage = true, "suspect" }, []string{"sentinel-provisional"}},
		{"provisional while fenced", func(h *health.Sentinel) { h.Provisional, h.Stage = true, "fenced" }, nil},
		{"nothing known yet", func(h *health.Sentinel) { *h = health.Sentinel{} }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := well()
			tt.spoil(h)
			var got []string
			for _, f := range slices.Concat(sentinels(h), set(h)) {
				got = append(got, f.Code)
				wantWhole(t, f)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("findings %v, want %v", got, tt.want)
			}
		})
	}
}

// TestTheCauseOfAnOutageIsToldFirst: without a majority no failover begins.
func TestTheCauseOfAnOutageIsToldFirst(t *testing.T) {
	report := health.Report{Sentinel: &health.Sentinel{
		CurrentMaster: "n1:6379", Stage: "fenced", Known: 3, Reachable: 1, Needed: 2, Quorum: 2,
		Sentinels: []health.SentinelNode{{Addr: "s1:1", Reachable: true}, {Addr: "s2:1"}, {Addr: "s3:1"}},
	}}
	var codes []string
	for _, f := range Of(Input{Report: report, Away: &Away{Reason: Silent, Cause: "timeout"}}) {
		codes = append(codes, f.Code)
	}
	quorum, silent := slices.Index(codes, health.CodeSentinelNoQuorum), slices.Index(codes, health.CodeSentinelMasterSilent)
	if quorum < 0 || silent < 0 || quorum > silent {
		t.Errorf("findings %v", codes)
	}
}
