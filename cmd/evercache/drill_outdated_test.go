package main

import (
	"strings"
	"testing"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/drill"
	"github.com/evercache/evercache/internal/survey"
)

// A failover of a node that a sentinel last saw as a master would be undone.
func TestADrillWaitsForWhatTheSentinelsHaveSeen(t *testing.T) {
	set := func(flags, role string) *survey.Survey {
		return &survey.Survey{
			Mode:  health.ModeSentinel,
			Nodes: []survey.Node{{Server: survey.Server{Addr: "m:1"}}},
			Sentinels: []survey.Sentinel{{
				Server: survey.Server{Addr: "s:1", Latency: 1}, Named: "m:1", Master: survey.Fields{"flags": "master"},
				Replicas: []survey.Fields{{"ip": "b", "port": "1", "flags": flags, "role-reported": role}},
			}},
		}
	}
	for name, c := range map[string]struct {
		flags drillFlags
		s     *survey.Survey
		want  string
	}{
		"seen as a replica": {drillFlags{trigger: drill.Failover}, set("slave", "slave"), ""},
		"seen as a master":  {drillFlags{trigger: drill.Failover}, set("slave", "master"), "last saw the replica b:1 as a master"},
		"it is down":        {drillFlags{trigger: drill.Failover}, set("s_down,slave", "master"), ""},
		"forced":            {drillFlags{trigger: drill.Failover, force: true}, set("slave", "master"), ""},
		"another trigger":   {drillFlags{trigger: drill.Kill}, set("slave", "master"), ""},
	} {
		got := strings.Join(c.flags.refusals(c.s, nil), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: refused %q, want %q", name, got, c.want)
		}
	}
}
