package doctor

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/survey"
)

// now is when the surveys of these tests were taken.
var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// wellSettings are those that no rule minds.
func wellSettings() Settings {
	return Settings{DialTimeout: 300 * time.Millisecond, ReadTimeout: 100 * time.Millisecond, Password: true, TLS: true}
}

func nodeAddr(n int) string     { return fmt.Sprintf("10.0.0.%d:6379", n) }
func sentinelAddr(n int) string { return fmt.Sprintf("10.0.1.%d:26379", n) }

// wellNode is a server that no rule minds.
func wellNode(addr string) survey.Node {
	return survey.Node{
		Server: survey.Server{
			Addr: addr, Connect: time.Millisecond, Latency: time.Millisecond, Certificate: now.AddDate(1, 0, 0),
			Info: survey.Fields{
				"redis_version": "7.2.13", "run_id": "run of " + addr, "loading": "0", "used_memory": "1000", "maxmemory": "0",
				"maxmemory_policy": "noeviction", "connected_clients": "10", "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok",
			},
			Rights: survey.Rights{How: survey.RightsDryRun},
		},
		Config: survey.Fields{
			"save": "", "appendonly": "yes", "maxmemory": "0", "maxmemory-policy": "noeviction", "min-replicas-to-write": "1",
			"replica-priority": "100", "masterauth": survey.IsSet, "masteruser": "app", "requirepass": survey.IsSet, "replica-read-only": "yes",
			"replica-serve-stale-data": "yes", "maxclients": "10000",
		},
		Clock: survey.Clock{Before: now, Theirs: now, After: now},
	}
}

// wellSet is a Sentinel set of 1 + 2 + 3 that no rule minds, but for what is always told:
// that its memory has no bound.
func wellSet() *survey.Survey {
	s := &survey.Survey{Mode: health.ModeSentinel, MasterName: "mymaster", At: now}
	for n := 1; n <= 3; n++ {
		x := survey.Sentinel{
			Server: survey.Server{
				Addr: sentinelAddr(n), Configured: true, Latency: time.Millisecond,
				Info: survey.Fields{"redis_version": "7.2.13", "run_id": "run of " + sentinelAddr(n), "sentinel_tilt": "0"},
			},
			ID: fmt.Sprintf("id %d", n), Named: nodeAddr(1), Quorum: "OK 3 usable Sentinels. Quorum and failover authorization can be reached",
			Master: survey.Fields{
				"name": "mymaster", "ip": "10.0.0.1", "port": "6379", "flags": "master", "config-epoch": "4", "quorum": "2",
				"num-other-sentinels": "2", "num-slaves": "2", "down-after-milliseconds": "3000", "failover-timeout": "15000", "parallel-syncs": "1",
			},
		}
		for other := 1; other <= 3; other++ {
			if other != n {
				x.Peers = append(x.Peers, survey.Fields{"ip": fmt.Sprintf("10.0.1.%d", other), "port": "26379", "flags": "sentinel"})
				x.NamedBy = append(x.NamedBy, sentinelAddr(other))
			}
		}
		for r := 2; r <= 3; r++ {
			x.Replicas = append(x.Replicas, survey.Fields{"name": nodeAddr(r), "ip": fmt.Sprintf("10.0.0.%d", r), "port": "6379", "flags": "slave", "slave-priority": "100", "master-link-status": "ok"})
		}
		s.Sentinels = append(s.Sentinels, x)
	}
	for n := 1; n <= 3; n++ {
		x := wellNode(nodeAddr(n))
		x.NamedBy = []string{sentinelAddr(1), sentinelAddr(2), sentinelAddr(3)}
		x.Role = survey.Role{Name: "replica", Master: nodeAddr(1), Link: "connected"}
		if n == 1 {
			x.Role = survey.Role{Name: "master", Replicas: []survey.Attached{{Addr: nodeAddr(2), State: "online"}, {Addr: nodeAddr(3), State: "online"}}}
		}
		s.Nodes = append(s.Nodes, x)
	}
	return s
}

// wellServer is a single server.
func wellServer() *survey.Survey {
	n := wellNode(nodeAddr(1))
	n.Configured, n.Role = true, survey.Role{Name: "master"}
	n.Config["min-replicas-to-write"] = "0"
	return &survey.Survey{Mode: health.ModeStandalone, At: now, Nodes: []survey.Node{n}}
}

func clusterID(n int) (id cluster.ID) {
	id[0] = byte(n)
	return id
}

// wellCluster has three masters, 1 to 3, with a replica each, 4 to 6.
func wellCluster() *survey.Survey {
	s := &survey.Survey{Mode: health.ModeCluster, At: now}
	var lines []cluster.Line
	for n := 1; n <= 6; n++ {
		l := cluster.Line{ID: clusterID(n), Addr: cluster.Addr{Host: fmt.Sprintf("10.0.0.%d", n), Port: 6379}, Flags: cluster.FlagMaster, LinkUp: true}
		if n > 3 {
			l.Flags, l.Master = cluster.FlagReplica, clusterID(n-3)
		} else {
			first := uint16((n - 1) * 5461)
			l.Slots = []slot.Range{{First: first, Last: first + 5460}}
			if n == 3 {
				l.Slots[0].Last = slot.Count - 1
			}
		}
		lines = append(lines, l)
	}
	for n := 1; n <= 6; n++ {
		x := wellNode(nodeAddr(n))
		x.Configured = n <= 3
		x.Config["cluster-require-full-coverage"], x.Config["cluster-node-timeout"] = "no", "5000"
		own := append([]cluster.Line(nil), lines...)
		x.Cluster = &survey.ClusterView{Info: survey.Fields{"cluster_state": "ok"}, Nodes: cluster.Nodes{Self: own[n-1], Lines: own}}
		x.Role = survey.Role{Name: "replica", Link: "connected"}
		if n <= 3 {
			x.Role = survey.Role{Name: "master", Replicas: []survey.Attached{{Addr: nodeAddr(n + 3), State: "online"}}}
		}
		x.Config["min-replicas-to-write"] = "0"
		s.Nodes = append(s.Nodes, x)
	}
	return s
}

// in makes an input.
func in(s *survey.Survey, change func(*survey.Survey)) Input {
	change(s)
	return Input{Survey: s, Settings: wellSettings()}
}

// with makes an input with other settings.
func with(s *survey.Survey, change func(*survey.Survey, *Settings)) Input {
	i := Input{Survey: s, Settings: wellSettings()}
	change(s, &i.Settings)
	return i
}

// broken is a server that does not answer.
func broken(s *survey.Server, reason findings.Reason) {
	s.Fault, s.Info, s.Latency = &survey.Fault{Reason: reason, Text: "what was said"}, nil, 0
}

// standaloneFault is the single server with a fault.
func standaloneFault(reason findings.Reason) Input {
	return in(wellServer(), func(s *survey.Survey) { broken(&s.Nodes[0].Server, reason) })
}

func sentinelFault(reason findings.Reason) Input {
	return in(wellSet(), func(s *survey.Survey) {
		for i := range s.Sentinels {
			broken(&s.Sentinels[i].Server, reason)
			s.Sentinels[i].Master = nil
		}
		s.Nodes = nil
	})
}

func clusterFault(reason findings.Reason) Input {
	return in(wellCluster(), func(s *survey.Survey) { broken(&s.Nodes[5].Server, reason); s.Nodes[5].Cluster = nil })
}

// ofMaster changes the master of the set.
func ofMaster(change func(*survey.Node)) Input {
	return in(wellSet(), func(s *survey.Survey) { change(&s.Nodes[0]) })
}

// ofEach changes SENTINEL MASTER at each sentinel.
func ofEach(name, value string) Input {
	return in(wellSet(), func(s *survey.Survey) {
		for i := range s.Sentinels {
			s.Sentinels[i].Master[name] = value
		}
	})
}

// ofNodes changes a parameter of each node.
func ofNodes(name, value string) Input {
	return in(wellSet(), func(s *survey.Survey) {
		for i := range s.Nodes {
			s.Nodes[i].Config[name] = value
		}
	})
}

// inSeries gives all servers a version.
func inSeries(s *survey.Survey, version string) {
	for i := range s.Nodes {
		s.Nodes[i].Info["redis_version"] = version
	}
	for i := range s.Sentinels {
		s.Sentinels[i].Info["redis_version"] = version
	}
}

// fixtures fire one check each, by its code.
var fixtures = map[string]Input{
	health.CodeRedisUnreachable:    standaloneFault(findings.Unreachable),
	health.CodeRedisTimeout:        standaloneFault(findings.TimedOut),
	health.CodeRedisUnresolved:     standaloneFault(findings.Unresolved),
	health.CodeRedisAuth:           standaloneFault(findings.Login),
	health.CodeRedisTLS:            standaloneFault(findings.SpeaksPlain),
	health.CodeRedisNotRedis:       standaloneFault(findings.NotRedis),
	health.CodeRedisIsSentinel:     standaloneFault(findings.IsSentinel),
	health.CodeRedisClusterNode:    standaloneFault(findings.ClusterNode),
	health.CodeRedisDB:             standaloneFault(findings.NoDatabase),
	health.CodeRedisMaxClients:     standaloneFault(findings.MaxClients),
	health.CodeRedisMasterDown:     standaloneFault(findings.MasterDown),
	health.CodeRedisCommandMissing: standaloneFault(findings.CommandMissing),
	health.CodeRedisUnknownReply:   standaloneFault(findings.UnknownReply),
	health.CodeRedisBusy:           standaloneFault(findings.Busy),
	health.CodeRedisNoPerm:         standaloneFault(findings.Rights),
	health.CodeRedisLoading:        standaloneFault(findings.Loading),
	health.CodeRedisNotConfigured: with(wellServer(), func(s *survey.Survey, o *Settings) {
		broken(&s.Nodes[0].Server, findings.Unreachable)
		o.Optional = true
	}),
	health.CodeRedisSlow: in(wellServer(), func(s *survey.Survey) { s.Nodes[0].Latency = 80 * time.Millisecond }),
	"server-unusable":    standaloneFault(findings.TwoServers),
	"survey-incomplete":  in(wellServer(), func(s *survey.Survey) { s.Left = []string{"10.0.9.1:6379"} }),

	health.CodeSentinelAuth:          sentinelFault(findings.SentinelLogin),
	health.CodeSentinelNoPerm:        sentinelFault(findings.SentinelRights),
	health.CodeSentinelUnknownMaster: sentinelFault(findings.SentinelMaster),
	health.CodeSentinelTLS:           sentinelFault(findings.SentinelTLS),
	health.CodeSentinelNotSentinel:   sentinelFault(findings.SentinelOther),
	health.CodeSentinelUnresolved:    sentinelFault(findings.SentinelName),
	health.CodeSentinelUnreachable:   sentinelFault(findings.SentinelAway),

	health.CodeClusterAuth:          clusterFault(findings.ClusterLogin),
	health.CodeClusterNoPerm:        clusterFault(findings.ClusterRights),
	health.CodeClusterTLS:           clusterFault(findings.ClusterTLS),
	health.CodeClusterNotCluster:    clusterFault(findings.ClusterOther),
	health.CodeClusterUnresolved:    clusterFault(findings.ClusterName),
	health.CodeClusterUnreachable:   clusterFault(findings.ClusterAway),
	health.CodeClusterStranger:      clusterFault(findings.ClusterElsewhere),
	health.CodeClusterMasterLoading: clusterFault(findings.ClusterRestarted),

	"sentinel-few": in(wellSet(), func(s *survey.Survey) {
		s.Sentinels = s.Sentinels[:2]
		for i := range s.Sentinels {
			s.Sentinels[i].Master["num-other-sentinels"] = "1"
			s.Sentinels[i].Peers = nil
		}
	}),
	"sentinel-even": in(wellSet(), func(s *survey.Survey) {
		for i := range s.Sentinels {
			s.Sentinels[i].Master["num-other-sentinels"], s.Sentinels[i].Master["quorum"] = "3", "3"
		}
	}),
	"sentinel-quorum-one":          ofEach("quorum", "1"),
	"sentinel-quorum-high":         ofEach("quorum", "4"),
	"sentinel-quorum-not-majority": ofEach("quorum", "3"),
	health.CodeSentinelNoQuorum: in(wellSet(), func(s *survey.Survey) {
		for i := range s.Sentinels {
			s.Sentinels[i].Quorum = "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority"
		}
	}),
	"sentinel-quorum-hidden": in(wellSet(), func(s *survey.Survey) {
		s.Sentinels[0].Quorum = "NOPERM this user has no permissions to run the 'sentinel|ckquorum' command"
	}),
	health.CodeSentinelDisagrees: in(wellSet(), func(s *survey.Survey) { s.Sentinels[2].Named = nodeAddr(2) }),
	"sentinel-settings-differ":   in(wellSet(), func(s *survey.Survey) { s.Sentinels[2].Master["failover-timeout"] = "20000" }),
	"sentinel-same-id":           in(wellSet(), func(s *survey.Survey) { s.Sentinels[2].ID = s.Sentinels[1].ID }),
	"sentinel-not-listed":        in(wellSet(), func(s *survey.Survey) { s.Sentinels[2].Configured = false }),
	"sentinel-ghost": in(wellSet(), func(s *survey.Survey) {
		for i := range s.Sentinels {
			s.Sentinels[i].Master["num-other-sentinels"] = "3"
			s.Sentinels[i].Peers = append(s.Sentinels[i].Peers, survey.Fields{"ip": "10.0.1.9", "port": "26379", "flags": "s_down,sentinel,disconnected"})
		}
		ghost := survey.Sentinel{Server: survey.Server{Addr: sentinelAddr(9)}}
		broken(&ghost.Server, findings.SentinelAway)
		s.Sentinels = append(s.Sentinels, ghost)
	}),
	"sentinel-replica-down": in(wellSet(), func(s *survey.Survey) {
		broken(&s.Nodes[2].Server, findings.Unreachable)
		s.Nodes[0].Role.Replicas = s.Nodes[0].Role.Replicas[:1]
		for i := range s.Sentinels {
			s.Sentinels[i].Replicas[1]["flags"] = "s_down,slave,disconnected"
		}
	}),
	"redis-announced-unreachable": in(wellSet(), func(s *survey.Survey) { broken(&s.Nodes[2].Server, findings.TimedOut) }),
	"sentinel-loopback": in(wellSet(), func(s *survey.Survey) {
		s.Nodes[2].Addr, s.Nodes[2].Aliases = "127.0.0.1:6379", []string{nodeAddr(3)}
	}),
	"sentinel-down-after": in(wellSet(), func(s *survey.Survey) {
		for i := range s.Sentinels {
			s.Sentinels[i].Master["down-after-milliseconds"], s.Sentinels[i].Master["failover-timeout"] = "30000", "45000"
		}
	}),
	"sentinel-failover-timeout-short": ofEach("failover-timeout", "6000"),
	"sentinel-failover-timeout-long":  ofEach("failover-timeout", "180000"),
	health.CodeSentinelTilt:           in(wellSet(), func(s *survey.Survey) { s.Sentinels[0].Info["sentinel_tilt"] = "1" }),
	health.CodeSentinelFailover:       in(wellSet(), func(s *survey.Survey) { s.Sentinels[0].Master["flags"] = "master,failover_in_progress" }),
	"set-one-host": in(wellCluster(), func(s *survey.Survey) {
		for i := range s.Nodes {
			s.Nodes[i].Addr = fmt.Sprintf("127.0.0.1:%d", 7000+i)
		}
	}),
	"sentinel-one-host": in(wellSet(), func(s *survey.Survey) { s.Sentinels[2].Addr = "10.0.1.2:26380" }),
	"sentinel-names-mixed": in(wellSet(), func(s *survey.Survey) {
		s.Sentinels[0].Replicas[0]["ip"] = "redis-2"
		s.Nodes[1].Aliases = []string{"redis-2:6379"}
	}),

	health.CodeSentinelNoMaster: in(wellSet(), func(s *survey.Survey) {
		for i := range s.Sentinels {
			s.Sentinels[i].Named, s.Sentinels[i].Replicas[0]["slave-priority"] = "", "100"
		}
	}),
	health.CodeSentinelMasterSilent: in(wellSet(), func(s *survey.Survey) {
		broken(&s.Nodes[0].Server, findings.Unreachable)
		for i := range s.Sentinels {
			s.Sentinels[i].Master["flags"] = "s_down,o_down,master"
		}
	}),
	health.CodeSentinelMasterDemoted: ofMaster(func(n *survey.Node) { n.Role = survey.Role{Name: "replica", Master: nodeAddr(2), Link: "connected"} }),
	health.CodeSentinelTwoMasters:    in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Role = survey.Role{Name: "master"} }),
	health.CodeRedisReplica: in(wellServer(), func(s *survey.Survey) {
		s.Nodes[0].Role = survey.Role{Name: "replica", Master: nodeAddr(2), Link: "connected"}
	}),
	"redis-standalone-replicas": in(wellServer(), func(s *survey.Survey) {
		s.Nodes[0].Config["min-replicas-to-write"] = "1"
		s.Nodes[0].Role.Replicas = []survey.Attached{{Addr: nodeAddr(2), State: "online"}, {Addr: nodeAddr(3), State: "online"}}
	}),
	health.CodeSentinelNoReplica: in(wellSet(), func(s *survey.Survey) {
		s.Nodes[1].Config["replica-priority"], s.Nodes[2].Config["replica-priority"] = "0", "0"
	}),
	"redis-replica-wrong-master": in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Role.Master = "10.9.9.9:6379" }),
	"redis-replica-chained":      in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Role.Master = nodeAddr(2) }),
	"redis-replica-link":         in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Role.Link = "connecting" }),
	"redis-replica-lag":          ofMaster(func(n *survey.Node) { n.Role.Replicas[0].Lag = 20 * time.Second }),
	"redis-replica-writable":     in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Config["replica-read-only"] = "no" }),
	"redis-replica-stale-refused": with(wellSet(), func(s *survey.Survey, o *Settings) {
		s.Nodes[2].Config["replica-serve-stale-data"], o.ReplicaReads = "no", true
	}),
	"redis-priorities-differ": in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Config["replica-priority"] = "10" }),
	"redis-masterauth":        ofMaster(func(n *survey.Node) { n.Config["masterauth"] = "" }),
	"redis-tls-replication": in(wellSet(), func(s *survey.Survey) {
		s.Nodes[2].Config["port"], s.Nodes[2].Config["tls-port"], s.Nodes[2].Config["tls-replication"] = "0", "6379", "no"
	}),
	"redis-fork-slow": ofMaster(func(n *survey.Node) { n.Info["latest_fork_usec"] = "800000" }),
	"redis-backlog-small": ofMaster(func(n *survey.Node) {
		n.Info["instantaneous_output_repl_kbps"], n.Config["repl-backlog-size"] = "2000.00", "1048576"
	}),
	"redis-keepalive-off": ofMaster(func(n *survey.Node) { n.Config["tcp-keepalive"] = "0" }),
	"redis-timeout-short": ofMaster(func(n *survey.Node) { n.Config["timeout"] = "5" }),
	"redis-open": with(wellServer(), func(s *survey.Survey, o *Settings) {
		s.Nodes[0].Config["requirepass"], o.Password = "", false
	}),
	health.CodeSentinelPlaintext: with(wellSet(), func(_ *survey.Survey, o *Settings) { o.TLS = false }),

	"sentinel-holds-down": in(wellSet(), func(s *survey.Survey) { s.Sentinels[2].Master["flags"] = "s_down,master" }),
	"sentinel-peer-unheard": in(wellSet(), func(s *survey.Survey) {
		s.Sentinels[2].Peers[0]["flags"] = "s_down,sentinel"
	}),
	"cluster-node-unheard": in(wellCluster(), func(s *survey.Survey) { s.Nodes[0].Cluster.Nodes.Lines[1].Flags |= cluster.FlagSuspected }),
	"sentinel-dns-slow": in(wellSet(), func(s *survey.Survey) {
		s.Absent = &survey.Lookup{Name: "none.example", Took: 2 * time.Second, Done: true}
	}),
	"redis-slow-sometimes": ofMaster(func(n *survey.Node) {
		n.Pings = survey.Pings{Count: 100, P50: time.Millisecond, P99: 300 * time.Millisecond}
	}),
	"redis-end-of-life":      in(wellSet(), func(s *survey.Survey) { inSeries(s, "7.0.15") }),
	"redis-no-config-file":   ofMaster(func(n *survey.Node) { n.Info["config_file"], n.Config["min-replicas-to-write"] = "", "0" }),
	"redis-no-persistence":   ofNodes("appendonly", "no"),
	"redis-min-replicas-off": ofNodes("min-replicas-to-write", "0"),
	health.CodeRedisNoReplicas: ofMaster(func(n *survey.Node) {
		n.Role.Replicas = nil
	}),
	"redis-min-replicas-high": ofNodes("min-replicas-to-write", "2"),
	"redis-settings-differ":   in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Config["maxmemory-policy"] = "allkeys-lru" }),
	health.CodeRedisMisconf:   ofMaster(func(n *survey.Node) { n.Info["aof_last_write_status"] = "err" }),

	health.CodeRevocationsEvictable: with(wellSet(), func(s *survey.Survey, o *Settings) {
		s.Nodes[0].Info["maxmemory"], s.Nodes[0].Info["maxmemory_policy"], o.Denylist = "1000000", "allkeys-lru", true
	}),
	health.CodeRedisEvicts: ofMaster(func(n *survey.Node) { n.Info["maxmemory"], n.Info["maxmemory_policy"] = "1000000", "volatile-lru" }),
	"redis-noeviction":     ofMaster(func(n *survey.Node) { n.Info["maxmemory"] = "1000000" }),
	"redis-memory-full":    ofMaster(func(n *survey.Node) { n.Info["maxmemory"], n.Info["used_memory"] = "1000000", "950000" }),
	"redis-no-maxmemory":   in(wellSet(), func(*survey.Survey) {}),

	"redis-versions-differ": in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Info["redis_version"] = "6.2.14" }),
	health.CodeRedisOld:     in(wellServer(), func(s *survey.Survey) { s.Nodes[0].Info["redis_version"] = "6.0.16" }),
	health.CodeRedisClock:   in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Clock.Theirs = now.Add(5 * time.Second) }),
	health.CodeClusterClocksDiffer: in(wellCluster(), func(s *survey.Survey) {
		s.Nodes[1].Clock.Theirs = now.Add(90 * time.Millisecond)
	}),
	"sentinel-user-rights": ofMaster(func(n *survey.Node) {
		n.Others = []survey.OtherUser{{Name: "monitor", For: survey.ForSentinel, Denied: []string{"SLAVEOF"}}}
	}),
	"redis-masteruser-rights": ofMaster(func(n *survey.Node) {
		n.Others = []survey.OtherUser{{Name: "monitor", For: survey.ForSentinel}, {Name: "replica", For: survey.ForReplica, Absent: true}}
	}),
	"redis-config-hidden": in(wellSet(), func(s *survey.Survey) {
		s.Nodes[2].Config, s.Nodes[2].Refused = survey.Fields{}, map[string]string{"CONFIG GET": "NOPERM"}
	}),
	"redis-server-certificate":  in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Certificate = now.AddDate(0, 0, 3) }),
	health.CodeRedisTLSExpiring: with(wellSet(), func(_ *survey.Survey, o *Settings) { o.CertificateEnds = now.AddDate(0, 0, 3) }),
	"redis-clients-many":        in(wellSet(), func(s *survey.Survey) { s.Nodes[2].Info["connected_clients"] = "9500" }),

	health.CodeClusterSlotUncovered: in(wellCluster(), func(s *survey.Survey) {
		for i := range s.Nodes {
			s.Nodes[i].Cluster.Nodes.Lines[0].Slots = []slot.Range{{First: 1, Last: 5460}}
		}
	}),
	health.CodeClusterSlotMoving: in(wellCluster(), func(s *survey.Survey) { s.Nodes[0].Cluster.Nodes.Migrating.Add(7) }),
	health.CodeClusterDown:       in(wellCluster(), func(s *survey.Survey) { s.Nodes[0].Cluster.Info["cluster_state"] = "fail" }),
	health.CodeClusterNodesDisagree: in(wellCluster(), func(s *survey.Survey) {
		lines := s.Nodes[5].Cluster.Nodes.Lines
		lines[0].Slots, lines[1].Slots = lines[1].Slots, lines[0].Slots
	}),
	health.CodeClusterTwoClusters: in(wellCluster(), func(s *survey.Survey) {
		n := &s.Nodes[2]
		l := cluster.Line{ID: clusterID(77), Flags: cluster.FlagMaster, Slots: []slot.Range{{First: 10922, Last: 16383}}}
		n.Cluster.Nodes = cluster.Nodes{Self: l, Lines: []cluster.Line{l}}
	}),
	health.CodeClusterNoReplica: in(wellCluster(), func(s *survey.Survey) { s.Nodes[0].Cluster.Nodes.Lines[3].Flags |= cluster.FlagNoFailover }),
	"cluster-few-masters": in(wellCluster(), func(s *survey.Survey) {
		for i := range s.Nodes {
			lines := s.Nodes[i].Cluster.Nodes.Lines
			lines[0].Slots, lines[2].Slots = append(lines[0].Slots, lines[2].Slots...), nil
		}
	}),
	"cluster-one-host": in(wellCluster(), func(s *survey.Survey) { s.Nodes[1].Addr = "10.0.0.1:6380" }),
	"cluster-full-coverage": in(wellCluster(), func(s *survey.Survey) {
		s.Nodes[0].Config["cluster-require-full-coverage"] = "yes"
	}),
	"cluster-node-timeout-short": in(wellCluster(), func(s *survey.Survey) { s.Nodes[0].Config["cluster-node-timeout"] = "200" }),
	"cluster-node-timeout-long":  in(wellCluster(), func(s *survey.Survey) { s.Nodes[0].Config["cluster-node-timeout"] = "15000" }),
	"cluster-node-gone": in(wellCluster(), func(s *survey.Survey) {
		lines := &s.Nodes[0].Cluster.Nodes.Lines
		*lines = append(*lines, cluster.Line{ID: clusterID(99), Flags: cluster.FlagReplica | cluster.FlagNoAddr})
	}),
}

// beside are the codes that a fixture fires too: what follows from the same state.
var beside = map[string][]string{
	health.CodeRevocationsEvictable: {health.CodeRedisEvicts},
	health.CodeClusterTwoClusters:   {health.CodeClusterNoReplica, health.CodeClusterNodesDisagree},
	"redis-memory-full":             {"redis-noeviction"},
	health.CodeRedisOld:             {"redis-end-of-life"},
	"redis-no-config-file":          {"redis-settings-differ", "redis-min-replicas-off"},
}

// always are told of every set of these tests.
var always = []string{"redis-no-maxmemory"}
