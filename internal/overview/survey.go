package overview

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// OfSurvey is what a look at the servers shows. Of the findings about the settings that led there, the errors
// are shown too: the servers may not be those that were meant.
func OfSurvey(s *survey.Survey, settings ...health.Finding) View {
	v := View{Mode: s.Mode.String(), MasterName: s.MasterName, Source: "servers", At: s.At.UTC()}
	names := aliases(s)
	v.settings(settings)
	for _, n := range s.Nodes {
		v.Nodes = append(v.Nodes, nodeOf(n, names))
	}
	switch s.Mode {
	case health.ModeSentinel:
		v.sentinelSet(s, names)
	case health.ModeCluster:
		v.cluster(s)
	default:
		v.single()
	}
	if len(s.Left) > 0 {
		v.problem("%d servers more were named, and not asked", len(s.Left))
	}
	answered := slices.ContainsFunc(s.Nodes, func(n survey.Node) bool { return n.Answered() }) ||
		slices.ContainsFunc(s.Sentinels, func(one survey.Sentinel) bool { return one.Answered() })
	v.judge(answered)
	return v
}

func (v *View) settings(all []health.Finding) {
	for _, f := range all {
		if f.Severity == health.SeverityError {
			v.problem("%s (%s): %s", f.Title, f.Code, f.Detail)
		}
	}
}

// aliases leads every address of a process to the one that it is listed under.
func aliases(s *survey.Survey) func(string) string {
	all := map[string]string{}
	for _, n := range s.Nodes {
		for _, a := range n.Names() {
			all[a] = n.Addr
		}
	}
	return func(addr string) string { return cmp.Or(all[addr], addr) }
}

// nodeOf is a server by itself: what others say of it comes later.
func nodeOf(n survey.Node, names func(string) string) Node {
	out := Node{Address: n.Addr, Role: cmp.Or(n.Role.Name, "unknown")}
	if n.Fault != nil && n.Role.Name == "" {
		out.State, out.Error = stateUnreachable, reason(n.Fault.Text)
		return out
	}
	if out.Role == "replica" {
		out.Follows = names(n.Role.Master)
	}
	out.State, out.Link = stateOf(n)
	out.Version = cmp.Or(n.Info["valkey_version"], n.Info["redis_version"])
	for field, to := range map[string]**int64{"used_memory": &out.MemoryBytes, "maxmemory": &out.MaxMemoryBytes, "connected_clients": &out.Clients, "slave_priority": &out.Priority} {
		if x, ok := n.Info.Int(field); ok {
			*to = &x
		}
	}
	return out
}

// stateOf is what the server does, by its own word.
func stateOf(n survey.Node) (state, link string) {
	switch {
	case n.Info["loading"] == "1":
		return stateLoading, ""
	case n.Role.Name == "master":
		if short(n) {
			return stateNoReplicas, ""
		}
		return stateWritable, ""
	case n.Role.Link == "connected":
		return stateStreaming, "up"
	case n.Role.Link == "sync":
		return stateSyncing, "down"
	}
	return cmp.Or(n.Role.Link, stateKnown), "down"
}

// short: the master has fewer replicas than it needs to take writes.
func short(n survey.Node) bool {
	least, ok := n.Config.Int("min-replicas-to-write")
	have, known := n.Info.Int("min_slaves_good_slaves")
	return ok && known && least > have
}

// lags fills in what each replica lacks, by the word of its master.
func (v *View) lags(s *survey.Survey, names func(string) string) {
	for _, m := range s.Nodes {
		if m.Role.Name != "master" {
			continue
		}
		for _, a := range m.Role.Replicas {
			n := v.node(names(a.Addr))
			if n == nil || n.Follows != m.Addr || a.State == "" {
				continue
			}
			n.LagBytes = new(max(0, m.Role.Offset-a.Offset))
			if a.State != "online" && n.State == stateStreaming {
				n.State = stateSyncing
			}
		}
	}
}

// sentinelSet adds what the sentinels say.
func (v *View) sentinelSet(s *survey.Survey, names func(string) string) {
	q := Quorum{Known: len(s.Sentinels), Needed: len(s.Sentinels)/2 + 1}
	for _, one := range s.Sentinels {
		v.Sentinels = append(v.Sentinels, sentinelOf(one, names))
		if !one.Monitors() {
			continue
		}
		q.Answering++
		if n, ok := one.Master.Int("quorum"); ok {
			q.Configured = max(q.Configured, n)
		}
		if n, ok := one.Master.Int("config-epoch"); ok {
			v.Epoch = max(v.Epoch, n)
		}
	}
	v.Master, q.Agreeing = most(v.Sentinels)
	v.Quorum = &q
	v.MasterSince = since(s, v.Master, names)
	v.lags(s, names)
	v.sentinelProblems()
	v.masterFirst()
}

// masterFirst puts the master that counts first, and who does not answer last.
func (v *View) masterFirst() {
	rank := func(n Node) int {
		switch {
		case n.Address == v.Master:
			return 0
		case n.State == stateUnreachable:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(v.Nodes, func(a, b Node) int { return cmp.Compare(rank(a), rank(b)) })
}

// reason is why a server does not answer, without the address, which stands beside it.
func reason(text string) string {
	text = strings.TrimPrefix(text, "dial: ")
	if rest, ok := strings.CutPrefix(text, "dial tcp "); ok {
		if _, why, found := strings.Cut(rest, ": "); found {
			return why
		}
	}
	return text
}

func sentinelOf(s survey.Sentinel, names func(string) string) Sentinel {
	out := Sentinel{Address: s.Addr, State: watcherOK}
	if s.Fault != nil {
		out.State, out.Error = watcherAway, reason(s.Fault.Text)
		if s.Answered() {
			out.State = watcherIdle
		}
		return out
	}
	out.Names = names(s.Named)
	out.Epoch, _ = s.Master.Int("config-epoch")
	out.Peers = new(len(s.Peers))
	out.QuorumOK = new(strings.HasPrefix(s.Quorum, "OK"))
	switch {
	case s.Info["sentinel_tilt"] == "1":
		out.State = watcherTilt
	case s.Master.Flag("failover_in_progress"):
		out.State = watcherFailover
	case s.Master.Flag("s_down"), s.Master.Flag("o_down"):
		out.State = watcherDown
	}
	return out
}

// most is the master that most sentinels name, and how many do.
func most(all []Sentinel) (master string, n int) {
	votes := map[string]int{}
	for _, s := range all {
		if s.Names != "" {
			votes[s.Names]++
			if votes[s.Names] > n {
				master, n = s.Names, votes[s.Names]
			}
		}
	}
	return master, n
}

// since is when the master became one, as the sentinels saw it: each remembers for how long the master has
// had its role. One that was started after that knows only since when it runs.
func since(s *survey.Survey, master string, names func(string) string) *time.Time {
	var first time.Time
	for _, one := range s.Sentinels {
		age, ok := one.Master.Millis("role-reported-time")
		uptime, known := one.Info.Int("uptime_in_seconds")
		epoch, _ := one.Master.Int("config-epoch")
		if !ok || !known || epoch == 0 || names(one.Named) != master || time.Duration(uptime)*time.Second < age+2*time.Second {
			continue
		}
		if at := s.At.Add(-age).UTC(); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if first.IsZero() {
		return nil
	}
	return new(first.Truncate(time.Second))
}
