package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/survey"
)

// Why a server is not reached matters.
const (
	whyAway    = "Nothing can be read from it or written to it. In an outage memory answers reads, and writes are kept."
	whyLogin   = "No command is allowed without a login."
	whyTLS     = "Without a common way to speak no connection is made."
	whyNotData = "It holds no keys for us."
	whyRefuses = "It answers, and does not serve."
	whyBlind   = "This sentinel can tell nobody of a failover here. With most of them so, a new master is found late or not at all."
	whyShard   = "The keys of its slots are answered from memory, and writes to them are kept."
)

// faultCheck is the check for a code that the library has for a server that does not
// answer. of are the faults of the survey, with the servers.
func faultCheck(reason findings.Reason, why, when string, of func(*view) []faulty) Check {
	f := findings.ExplainOne(reason)
	return Check{
		Code: f.Code, Severity: health.SeverityError, Title: f.Title, Why: why, Fix: f.Fix, When: when,
		find: func(v *view) (all []seen) {
			for _, x := range of(v) {
				if x.fault.Code() == f.Code {
					all = append(all, x.seen())
				}
			}
			return all
		},
	}
}

// faulty is a server that does not answer as it should.
type faulty struct {
	addr     string
	fault    *survey.Fault
	severity health.Severity
	others   bool   // some of its kind answer
	title    string // "": that of the fault
}

func (x faulty) seen() seen {
	f := x.fault.Finding()
	if !x.others {
		f = findings.Explain(x.fault.Reason)
	}
	return seen{subject: x.addr, detail: x.fault.Text, severity: x.severity, title: cmp.Or(x.title, f.Title), fix: cmp.Or(tlsFix(x.fault.Reason, x.fault.Text), f.Fix)}
}

// explained reports whether one of the checks is for a fault.
func explained(f *survey.Fault, families ...[]Check) bool {
	return slices.ContainsFunc(slices.Concat(families...), func(c Check) bool { return c.Code == f.Code() })
}

var nodeFaults = []Check{
	faultCheck(findings.Unreachable, whyAway, "a single server cannot be connected to", nodesFaulty),
	faultCheck(findings.TimedOut, whyAway, "a server accepts connections and does not answer in time", nodesFaulty),
	faultCheck(findings.Unresolved, whyAway, "the name of a server cannot be resolved", nodesFaulty),
	faultCheck(findings.Login, whyLogin, "a server refuses user or password", nodesFaulty),
	faultCheck(findings.Handshake, whyTLS, "only one side speaks TLS, or a certificate is not accepted", nodesFaulty),
	faultCheck(findings.NotRedis, whyNotData, "something else answers", nodesFaulty),
	faultCheck(findings.IsSentinel, whyNotData, "a sentinel answers where data should be", nodesFaulty),
	faultCheck(findings.ClusterNode, "Most keys belong to other nodes: they can be neither read nor written.", "a node of a Redis Cluster answers, and Cluster mode is not set", nodesFaulty),
	faultCheck(findings.NoDatabase, whyRefuses, "REDIS_DB is higher than the server allows", nodesFaulty),
	faultCheck(findings.MaxClients, whyRefuses, "a server takes no more connections", nodesFaulty),
	faultCheck(findings.MasterDown, whyRefuses, "a replica refuses commands, because its master is away", nodesFaulty),
	faultCheck(findings.CommandMissing, "What needs the command is off: docs/operations.md says what is lost without each.", "a server does not have a command that evercache uses (rename-command, a proxy); an error for GET, SET, DEL and PING", commandsMissing),
	faultCheck(findings.UnknownReply, whyRefuses, "a server answers with an error that is not known", nodesFaulty),
	faultCheck(findings.Busy, "Nobody is served until the script ends.", "a script blocks a server", nodesFaulty),
}

var clusterFaults = []Check{
	faultCheck(findings.ClusterAway, whyShard, "a node of a Cluster does not answer; an error for one that owns slots, and where none answers", nodesFaulty),
	faultCheck(findings.ClusterName, whyShard, "the name of a node cannot be resolved", nodesFaulty),
	faultCheck(findings.ClusterLogin, whyLogin, "a node refuses user or password", nodesFaulty),
	faultCheck(findings.ClusterRights, whyRefuses, "the ACL of a node forbids a command that evercache needs", clusterForbidden),
	faultCheck(findings.ClusterTLS, whyTLS, "only one side speaks TLS, or a certificate is not accepted", nodesFaulty),
	faultCheck(findings.ClusterOther, whyNotData, "a server that belongs to no Cluster answers", nodesFaulty),
	faultCheck(findings.ClusterElsewhere, whyShard, "another node answers at the address of a node", nodesFaulty),
	faultCheck(findings.ClusterRestarted, "Its keys cannot be read or written until it has read them from disk.", "a node is loading its data", clusterLoading),
}

var sentinelFaults = []Check{
	faultCheck(findings.SentinelLogin, whyBlind, "a sentinel refuses user or password", sentinelsFaulty),
	faultCheck(findings.SentinelRights, whyBlind, "the ACL of a sentinel forbids what evercache asks", sentinelForbidden),
	faultCheck(findings.SentinelMaster, whyBlind, "a sentinel monitors no master of the configured name", sentinelsFaulty),
	faultCheck(findings.SentinelTLS, whyBlind, "only one side speaks TLS, or a certificate is not accepted", sentinelsFaulty),
	faultCheck(findings.SentinelOther, whyBlind, "something else answers where a sentinel should", sentinelsFaulty),
	faultCheck(findings.SentinelName, whyBlind, "the name of a sentinel cannot be resolved", sentinelsFaulty),
	faultCheck(findings.SentinelAway, whyBlind, "a sentinel does not answer; an error where no majority does", sentinelsFaulty),
}

// sentinelsFaulty are the configured sentinels that do not answer. Others are ghosts, or
// known to few.
func sentinelsFaulty(v *view) (all []faulty) {
	for i := range v.Survey.Sentinels {
		s := &v.Survey.Sentinels[i]
		if s.Fault == nil || !s.Configured {
			continue
		}
		f := *s.Fault
		if f.Reason == findings.SentinelMaster {
			f.Text = fmt.Sprintf("SENTINEL MASTER %s: it is unknown. SENTINEL MASTERS lists %s", v.Survey.MasterName, orNone(s.Masters))
		}
		all = append(all, faulty{addr: s.Addr, fault: &f, severity: v.sentinelSeverity(), others: len(v.sentinels) > 0})
	}
	return all
}

// sentinelSeverity is how bad it is that one sentinel does not answer.
func (v *view) sentinelSeverity() health.Severity {
	if 2*len(v.sentinels) > len(v.Survey.Sentinels) {
		return health.SeverityWarning
	}
	return health.SeverityError
}

// sentinelForbidden adds what the ACL of a sentinel that answers forbids.
func sentinelForbidden(v *view) []faulty {
	all := sentinelsFaulty(v)
	for _, s := range v.sentinels {
		if len(s.Rights.Denied) > 0 {
			all = append(all, faulty{addr: s.Addr, fault: &survey.Fault{Reason: findings.SentinelRights, Text: deniedText(s.Rights)}, severity: health.SeverityWarning, others: true})
		}
	}
	return all
}

// nodesFaulty are the servers with data that do not answer as they should.
func nodesFaulty(v *view) (all []faulty) {
	for i := range v.Survey.Nodes {
		n := &v.Survey.Nodes[i]
		switch {
		case n.Fault == nil || n.Anonymous:
		case v.mode() == health.ModeSentinel && silent(n.Fault): // sentinel-master-silent and the like
		case n.Fault.Reason == findings.Unreachable && v.Settings.Optional: // redis-not-configured
		case v.mode() == health.ModeCluster && n.Fault.Reason == findings.ClusterAway:
			all = append(all, faulty{addr: n.Addr, fault: n.Fault, severity: v.awaySeverity(n.Addr), others: len(v.nodes) > 0})
		default:
			all = append(all, faulty{addr: n.Addr, fault: n.Fault, severity: health.SeverityError, others: len(v.nodes) > 0})
		}
	}
	return all
}

// silent reports whether nothing answers, whatever it is.
func silent(f *survey.Fault) bool {
	return f.Reason == findings.Unreachable || f.Reason == findings.TimedOut
}

// awayAs is the fault of a sentinel in the words for a server: away is silent.
func awayAs(f *survey.Fault) *survey.Fault {
	if f.Reason == findings.SentinelAway {
		return &survey.Fault{Reason: findings.Unreachable}
	}
	return f
}

// clusterForbidden adds what the ACL of a node that answers forbids.
func clusterForbidden(v *view) []faulty {
	all := nodesFaulty(v)
	if v.mode() != health.ModeCluster {
		return all
	}
	for _, n := range v.nodes {
		if len(n.Rights.Denied) > 0 {
			all = append(all, faulty{addr: n.Addr, fault: &survey.Fault{Reason: findings.ClusterRights, Text: deniedText(n.Rights)}, severity: rightsSeverity(n.Rights.Denied), others: true})
		}
	}
	return all
}

// commandsMissing adds the servers that answer, and lack commands.
func commandsMissing(v *view) []faulty {
	all := nodesFaulty(v)
	for _, n := range v.nodes {
		if len(n.Rights.Missing) > 0 {
			all = append(all, faulty{
				addr: n.Addr, fault: &survey.Fault{Reason: findings.CommandMissing, Text: "unknown: " + list(n.Rights.Missing)},
				severity: rightsSeverity(n.Rights.Missing), others: true, title: "Redis does not have commands that evercache uses",
			})
		}
	}
	return all
}

// clusterLoading adds the nodes that answer, and say that they load.
func clusterLoading(v *view) []faulty {
	all := nodesFaulty(v)
	for _, n := range v.nodes {
		if v.mode() == health.ModeCluster && n.Info["loading"] == "1" {
			all = append(all, faulty{addr: n.Addr, fault: &survey.Fault{Reason: findings.ClusterRestarted, Text: loadingText(n)}, severity: health.SeverityWarning, others: true})
		}
	}
	return all
}

func loadingText(n *survey.Node) string {
	return fmt.Sprintf("INFO persistence: loading:1, loading_eta_seconds:%s", n.Info["loading_eta_seconds"])
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return list(names)
}

var reachChecks = []Check{
	{
		Code: health.CodeRedisNotConfigured, Severity: health.SeverityInfo, Title: "No Redis is configured: the cache is in memory only",
		Why:  "What is written is lost when the process ends, and other processes do not see it.",
		Fix:  "Nothing to do if that is meant. Otherwise set REDIS_HOST, REDIS_URL, REDIS_SENTINELS or REDIS_CLUSTER_NODES.",
		When: "no REDIS_* is set, and nothing answers at the default address",
		find: func(v *view) (all []seen) {
			for _, n := range v.Survey.Nodes {
				if v.Settings.Optional && n.Fault != nil && n.Fault.Reason == findings.Unreachable {
					all = append(all, seen{subject: n.Addr, detail: n.Fault.Text})
				}
			}
			return all
		},
	},
	{
		Code: health.CodeRedisLoading, Severity: health.SeverityWarning, Title: findings.Explain(findings.Loading).Title,
		Why:  "It answers no read and takes no write until it has read its data.",
		Fix:  findings.Explain(findings.Loading).Fix,
		When: "a server is reading its data from disk",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if v.mode() != health.ModeCluster && n.Info["loading"] == "1" {
					all = append(all, seen{subject: n.Addr, detail: loadingText(n)})
				}
			}
			for _, x := range nodesFaulty(v) {
				if x.fault.Reason == findings.Loading {
					all = append(all, seen{subject: x.addr, detail: x.fault.Text})
				}
			}
			return all
		},
	},
	{
		Code: "server-unusable", Severity: health.SeverityError, Title: "A server does not answer as it should",
		Why:  whyRefuses,
		Fix:  "Look at the log of the server.",
		When: "a server fails at something that no other check is for",
		find: func(v *view) (all []seen) {
			for _, x := range nodesFaulty(v) {
				if !explained(x.fault, nodeFaults, clusterFaults) && !anyOf(x.fault.Code(), health.CodeRedisLoading, health.CodeRedisNoPerm) {
					all = append(all, x.seen())
				}
			}
			for _, x := range sentinelsFaulty(v) {
				if !explained(x.fault, sentinelFaults) {
					all = append(all, x.seen())
				}
			}
			return all
		},
	},
	{
		Code: health.CodeRedisSlow, Severity: health.SeverityWarning, Title: "Redis answers too slowly for the timeouts that are set",
		Why:  "A read that takes longer than EVERCACHE_READ_TIMEOUT is answered from memory, and a server that often does is given up.",
		Fix:  "Look for slow commands (SLOWLOG GET), swapping, a saturated network. If this latency is normal, raise EVERCACHE_READ_TIMEOUT and EVERCACHE_DIAL_TIMEOUT.",
		When: "a question takes more than half of EVERCACHE_READ_TIMEOUT, or connecting more than EVERCACHE_DIAL_TIMEOUT",
		find: slow,
	},
	{
		Code: "redis-slow-sometimes", Severity: health.SeverityInfo, Title: "Some answers of Redis take longer than the timeout that is set",
		Why:  "A read that takes longer than EVERCACHE_READ_TIMEOUT is answered from memory, or by the loader.",
		Fix:  "Look for slow commands (SLOWLOG GET), forks (INFO persistence, INFO stats), swapping, and a network or a machine that is busy: this one too.",
		When: "of up to 100 questions one after another, one in a hundred takes longer than EVERCACHE_READ_TIMEOUT",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if p := n.Pings; v.Settings.ReadTimeout > 0 && p.P99 > v.Settings.ReadTimeout && n.Latency <= v.Settings.ReadTimeout/2 {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("%d × PING: half took %v at most, 99 %% %v; EVERCACHE_READ_TIMEOUT is %v", p.Count, shortTime(p.P50), shortTime(p.P99), v.Settings.ReadTimeout)})
				}
			}
			return all
		},
	},
	{
		Code: "survey-incomplete", Severity: health.SeverityInfo, Title: "Not every server was asked",
		Why:  "What is wrong with the others is not known.",
		Fix:  "Remove nodes that are gone: SENTINEL RESET, CLUSTER FORGET.",
		When: "more than 100 servers are named",
		find: func(v *view) []seen {
			if len(v.Survey.Left) == 0 {
				return nil
			}
			return []seen{{detail: fmt.Sprintf("%d were asked; left out: %s", len(v.Survey.Nodes)+len(v.Survey.Sentinels), list(v.Survey.Left))}}
		},
	},
}

// shortTime is a time for people.
func shortTime(d time.Duration) string {
	if d >= 10*time.Millisecond {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

func slow(v *view) (all []seen) {
	for _, n := range v.nodes {
		switch {
		case v.Settings.ReadTimeout > 0 && n.Latency > v.Settings.ReadTimeout/2:
			all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("TIME took %v; EVERCACHE_READ_TIMEOUT is %v", n.Latency.Round(time.Millisecond), v.Settings.ReadTimeout)})
		case v.Settings.DialTimeout > 0 && n.Connect > v.Settings.DialTimeout:
			all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("connecting took %v; EVERCACHE_DIAL_TIMEOUT is %v", n.Connect.Round(time.Millisecond), v.Settings.DialTimeout)})
		}
	}
	return all
}
