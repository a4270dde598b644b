package doctor

import (
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/survey"
)

var versionChecks = []Check{
	{
		Code: "redis-versions-differ", Severity: health.SeverityWarning, Title: "The servers have different versions",
		Why:  "A replica may not read the data of a newer master. After a failover the other one counts.",
		Fix:  "End the upgrade: replicas first, then the sentinels one by one, then a planned failover, then the old master.",
		When: "INFO shows different versions among the nodes, or among the sentinels",
		find: func(v *view) (all []seen) {
			nodes, sentinels := map[string][]string{}, map[string][]string{}
			for _, n := range v.nodes {
				addVersion(nodes, n.Server)
			}
			for _, s := range v.sentinels {
				addVersion(sentinels, s.Server)
			}
			for _, by := range []map[string][]string{nodes, sentinels} {
				if len(by) > 1 {
					all = append(all, seen{detail: "INFO server: version " + strings.Join(valuesText(by), "; ")})
				}
			}
			return all
		},
	},
	{
		Code: health.CodeRedisOld, Severity: health.SeverityWarning, Title: "Redis is older than 6.2",
		Why:  "SET has no absolute end, so a write that a hung server executes late looks newer than it is. The denylist cannot be written. Before 6.0 nothing in memory is coherent.",
		Fix:  "Use Redis 6.2 or later, or Valkey.",
		When: "redis_version is below 6.2",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if version := n.Info["redis_version"]; (remote.Server{Version: version}).Before(6, 2) {
					all = append(all, seen{subject: n.Addr, detail: "INFO server: redis_version:" + version})
				}
			}
			return all
		},
	},
}

func addVersion(by map[string][]string, s survey.Server) {
	name, version := product(s)
	if name != "redis" {
		version = strings.TrimSpace(name + " " + version)
	}
	if version != "" {
		by[version] = append(by[version], s.Addr)
	}
}
