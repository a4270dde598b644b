package evercache

import (
	"slices"
	"testing"

	"github.com/evercache/evercache/internal/sentinel"
)

func TestSentinelFindings(t *testing.T) {
	well := func() *SentinelHealth {
		return &SentinelHealth{
			CurrentMaster: "n1:6379", Stage: sentinel.Clear.String(), Known: 3, Reachable: 3, Agreeing: 3, Needed: 2, Quorum: 2, CanFailOver: true,
			Sentinels: []SentinelNode{{Addr: "s1:1", Reachable: true}, {Addr: "s2:1", Reachable: true}, {Addr: "s3:1", Reachable: true}},
			Nodes:     []RedisNode{{Addr: "n1:6379", Role: "master"}, {Addr: "n2:6379", Role: "replica", Promotable: true}},
		}
	}
	tests := []struct {
		name  string
		spoil func(*SentinelHealth)
		want  []string
	}{
		{"all well", func(*SentinelHealth) {}, nil},
		{"one sentinel is gone", func(h *SentinelHealth) { h.Reachable, h.Sentinels[2].Reachable = 2, false }, []string{"sentinel-unreachable"}},
		{"too few sentinels", func(h *SentinelHealth) { h.Reachable, h.CanFailOver = 1, false }, []string{"sentinel-no-quorum"}},
		{"one in tilt", func(h *SentinelHealth) { h.Sentinels[0].Tilt = true }, []string{"sentinel-tilt"}},
		{"nonsense", func(h *SentinelHealth) { h.Rejected = 4 }, []string{"sentinel-nonsense"}},
		{"no replica", func(h *SentinelHealth) { h.Nodes = h.Nodes[:1] }, []string{"sentinel-no-replica"}},
		{"provisional", func(h *SentinelHealth) { h.Provisional, h.Stage = true, "suspect" }, []string{"sentinel-provisional"}},
		{"provisional while fenced", func(h *SentinelHealth) { h.Provisional, h.Stage = true, "fenced" }, nil},
		{"nothing known yet", func(h *SentinelHealth) { *h = SentinelHealth{} }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := well()
			tt.spoil(h)
			var got []string
			for _, f := range sentinelFindings(h) {
				got = append(got, f.Code)
				if f.Title == "" || f.Fix == "" || f.Severity == "" {
					t.Errorf("incomplete: %+v", f)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("findings %v, want %v", got, tt.want)
			}
		})
	}
}
