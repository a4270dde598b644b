package doctor

import (
	"fmt"
	"net"
	"strings"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/survey"
)

// Move is a change of mode that is planned.
type Move struct {
	To     health.Mode
	Now    *survey.Survey // what is used at this moment
	Then   *survey.Survey // what would be; nil: the settings for it are not complete
	Change Change
	Faults config.Faults // of the settings for it

	Denylist, Journal, ReplicaReads bool
}

// move is a Move with what several checks need of it.
type move struct {
	Move
	now, then *view // then is nil without Move.Then
}

// PlanCheck is one rule about a change of mode.
type PlanCheck struct {
	Check
	find func(*move) []seen
}

// Plan says what a change of mode would meet: what the change itself meets, then what is
// wrong on the other side.
func Plan(m Move, then Settings) []Finding {
	p := &move{Move: m, now: newView(Input{Survey: m.Now})}
	if m.Then != nil {
		p.then = newView(Input{Survey: m.Then, Settings: then})
	}
	var out []Finding
	for _, c := range PlanChecks() {
		for _, s := range c.find(p) {
			out = append(out, c.finding(s))
		}
	}
	if m.Then != nil {
		out = append(out, Examine(Input{Survey: m.Then, Settings: then})...)
	}
	return worstFirst(out)
}

// PlanChecks are all checks of a change of mode.
func PlanChecks() []PlanCheck { return planChecks }

var planChecks = []PlanCheck{
	{Check{
		Code: "plan-settings", Severity: health.SeverityError, Title: "The settings for the other mode are not complete",
		Why:  "evercache does not start with them.",
		When: "the environment, as it would be, has a fault",
	}, func(m *move) (all []seen) {
		for _, f := range append(m.Change.Faults[:len(m.Change.Faults):len(m.Change.Faults)], m.Faults...) {
			all = append(all, seen{subject: f.Name, detail: f.Problem, fix: f.Fix})
		}
		return all
	}},
	{Check{
		Code: "plan-target-not-master", Severity: health.SeverityError, Title: "The server to go to is not the master",
		Why:  "It refuses writes, or it has other data than the set.",
		When: "for standalone: REDIS_HOST is not the server that is master now, or nothing answers there while a master is known",
	}, notMaster},
	{Check{
		Code: "plan-master-unknown", Severity: health.SeverityWarning, Title: "It is not known who is master now",
		Why:  "Whether the data comes along cannot be said.",
		Fix:  "Run evercache doctor without --plan: it says why the servers of now do not answer.",
		When: "no master of the mode of now answers",
	}, func(m *move) []seen {
		if m.same() || len(m.now.masters()) > 0 {
			return nil
		}
		return []seen{{detail: fmt.Sprintf("%d of %d servers answer", len(m.now.nodes), len(m.Now.Nodes))}}
	}},
	{Check{
		Code: "plan-db", Severity: health.SeverityError, Title: "A Cluster has only database 0",
		Why:  "REDIS_DB has to go, and the keys of another database are not found any more.",
		Fix:  "Unset REDIS_DB. For several applications in one Cluster use REDIS_KEY_PREFIX.",
		When: "for cluster: REDIS_DB is not 0",
	}, func(m *move) []seen {
		if m.Change.DB == "" {
			return nil
		}
		return []seen{{subject: "REDIS_DB", detail: "it is " + m.Change.DB}}
	}},
	{Check{
		Code: "plan-data-left", Severity: health.SeverityWarning, Title: "Data would be left behind",
		Why:  "What only Redis has is missing there: each such read is a load, or a miss.",
		Fix:  "For a cache that is filled by loaders: nothing to do, but expect more loads. Otherwise copy the data first (redis-cli --rdb, or make the new servers replicas of the old master).",
		When: "the servers to go to do not have the data of the master of now",
	}, dataLeft},
	{Check{
		Code: "plan-denylist", Severity: health.SeverityWarning, Title: "The token denylist would be left behind",
		Why:  "Without it no process knows which tokens are revoked. By default they refuse them all then.",
		Fix:  "Copy the key ~r:{tokens}:set and its neighbours, or revoke again what is still alive, and run evercache revoke init there.",
		When: "the denylist is used, and the data would be left behind",
	}, func(m *move) []seen {
		if !m.Denylist && !m.now.denylist() || len(dataLeft(m)) == 0 {
			return nil
		}
		return []seen{{detail: "EVERCACHE_REVOCATIONS is on or required, or Redis has a denylist"}}
	}},
	{Check{
		Code: "plan-memory", Severity: health.SeverityWarning, Title: "The data does not fit there",
		Why:  "A full Redis refuses writes or evicts keys.",
		Fix:  "Raise maxmemory there first.",
		When: "used_memory of the masters of now is more than maxmemory of those to go to",
	}, tooLarge},
	{Check{
		Code: "plan-lost", Severity: health.SeverityInfo, Title: "What the other mode does not have",
		Why:  "Whoever relies on it should know.",
		Fix:  "Nothing to do if that is meant.",
		When: "the mode of now can do what the other one cannot",
	}, lost},
	{Check{
		Code: "plan-journal", Severity: health.SeverityInfo, Title: "The journal goes along",
		Why:  "Writes that wait in a journal are sent to the new Redis by the next process that opens it.",
		Fix:  "Nothing to do if the data goes along. Otherwise let all processes end in good order first: SIGTERM sends what waits.",
		When: "EVERCACHE_JOURNAL_DIR is set",
	}, func(m *move) []seen {
		if !m.Journal || m.same() {
			return nil
		}
		return []seen{{subject: "EVERCACHE_JOURNAL_DIR", detail: "it is set"}}
	}},
	{Check{
		Code: "plan-variables", Severity: health.SeverityInfo, Title: "Variables to change",
		Why:  "They make the other mode.",
		Fix:  "Change them in one process at a time, and wait until /readyz says 200: docs/guide/migrate.md.",
		When: "variables have to be set or unset",
	}, variables},
	{Check{
		Code: "plan-same-mode", Severity: health.SeverityInfo, Title: "The mode is that already",
		Why:  "Nothing has to be changed.",
		Fix:  "Nothing to do.",
		When: "the mode of now is the one that is asked for",
	}, func(m *move) []seen {
		if !m.same() {
			return nil
		}
		return []seen{{detail: "the environment says " + m.To.String()}}
	}},
}

func (m *move) same() bool { return m.Now.Mode == m.To }

// notMaster looks at the one server of standalone mode.
func notMaster(m *move) []seen {
	if m.To != health.ModeStandalone || m.then == nil || m.same() {
		return nil
	}
	target, masters := m.then.master, m.now.masters()
	fix := "Set REDIS_HOST and REDIS_PORT to a master of the set."
	if len(masters) == 1 && m.Now.Mode == health.ModeSentinel {
		fix = pointTo(masters[0])
	}
	switch {
	case target == nil && len(masters) == 1 && len(m.Then.Nodes) == 1 && nowhere(m.Then.Nodes[0].Fault):
		return []seen{{subject: m.Then.Nodes[0].Addr, detail: "nothing answers there; the master of the set is " + masters[0].Addr, fix: fix}}
	case target == nil:
		return nil // why, the rules of the other side say
	case target.Role.Name == "replica":
		return []seen{{subject: target.Addr, detail: "ROLE: slave of " + target.Role.Master, fix: fix}}
	case len(masters) == 1 && !sameProcess(target, masters[0]):
		return []seen{{subject: target.Addr, detail: "ROLE: master, but the master of the set is " + masters[0].Addr, fix: fix}}
	}
	return nil
}

// nowhere reports whether an address leads nowhere: perhaps it was never set.
func nowhere(f *survey.Fault) bool {
	return f != nil && (f.Reason == findings.Unreachable || f.Reason == findings.Unresolved)
}

// pointTo is how a server becomes the single one.
func pointTo(n *survey.Node) string {
	h, p, err := net.SplitHostPort(n.Addr)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("Set REDIS_HOST=%s and REDIS_PORT=%s. It is the master at this moment: look again right before the change.", h, p)
}

func sameProcess(a, b *survey.Node) bool {
	return a.Info["run_id"] != "" && a.Info["run_id"] == b.Info["run_id"]
}

// sameData reports whether a server has the data of another one: it is that one, or both
// have the same replication id.
func sameData(a, b *survey.Node) bool {
	return sameProcess(a, b) || a.Info["master_replid"] != "" && a.Info["master_replid"] == b.Info["master_replid"]
}

// dataLeft are the masters of now whose data no master of then has.
func dataLeft(m *move) (all []seen) {
	if m.same() || m.then == nil || len(m.then.masters()) == 0 {
		return nil
	}
	for _, old := range m.now.masters() {
		kept := false
		for _, n := range m.then.masters() {
			kept = kept || sameData(n, old)
		}
		if keys := keysOf(old); !kept && keys > 0 {
			all = append(all, seen{subject: old.Addr, detail: fmt.Sprintf("INFO keyspace: %d keys here; those to go to have %d", keys, keysOf(m.then.masters()...))})
		}
	}
	return all
}

// keysOf is how many keys servers have, in all databases.
func keysOf(nodes ...*survey.Node) (sum int64) {
	for _, n := range nodes {
		for name, value := range n.Info {
			rest, ok := strings.CutPrefix(value, "keys=")
			if !ok || !strings.HasPrefix(name, "db") {
				continue
			}
			count, _, _ := strings.Cut(rest, ",")
			k, _ := survey.Fields{"keys": count}.Int("keys")
			sum += k
		}
	}
	return sum
}

func tooLarge(m *move) []seen {
	if m.same() || m.then == nil {
		return nil
	}
	var used, room int64
	for _, n := range m.now.masters() {
		u, _ := n.Info.Int("used_memory")
		used += u
	}
	for _, n := range m.then.masters() {
		most := maxMemory(n)
		if most == 0 {
			return nil
		}
		room += most
	}
	if room == 0 || used <= room {
		return nil
	}
	return []seen{{detail: fmt.Sprintf("INFO memory: used_memory is %d in all now, maxmemory is %d in all there", used, room)}}
}

// lost is what the other mode cannot do.
func lost(m *move) (all []seen) {
	if m.same() {
		return nil
	}
	if m.To == health.ModeStandalone {
		all = append(all, seen{detail: "failovers are not followed: if the server fails, memory answers until it is back"})
		if m.ReplicaReads {
			all = append(all, seen{detail: "reads from replicas (REDIS_REPLICA_READS)"})
		}
	}
	if m.Now.Mode == health.ModeCluster {
		all = append(all, seen{detail: "the data is on one master: its memory and its one processor have to be enough"})
	}
	if m.To == health.ModeCluster {
		all = append(all, seen{detail: "with cluster-require-full-coverage yes, one shard without a master stops all of them for about a second"})
	}
	return all
}

func variables(m *move) []seen {
	var parts []string
	if len(m.Change.Set) > 0 {
		parts = append(parts, "set "+strings.Join(m.Change.Set, " "))
	}
	if len(m.Change.Unset) > 0 {
		parts = append(parts, "unset "+strings.Join(m.Change.Unset, " "))
	}
	if len(parts) == 0 || m.same() {
		return nil
	}
	return []seen{{detail: strings.Join(parts, "; ")}}
}
