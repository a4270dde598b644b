package doctor

import (
	"fmt"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/survey"
)

// required are the commands without which a cache is of no use.
var required = []string{"GET", "SET", "DEL", "PING"}

var rightsChecks = []Check{
	{
		Code: health.CodeRedisNoPerm, Severity: health.SeverityError, Title: findings.Explain(findings.Rights).Title,
		Why:  "What needs the command is off: docs/operations.md says what is lost without each.",
		Fix:  "Give the user the commands and the keys that docs/operations.md lists: redis-cli ACL SETUSER USER +COMMAND '~PREFIX*'.",
		When: "ACL DRYRUN, or a harmless form of the command, says that one is forbidden; an error for GET, SET, DEL and PING, and where the login is of no use at all",
		find: func(v *view) (all []seen) {
			for i := range v.Survey.Nodes {
				n := &v.Survey.Nodes[i]
				if n.Fault != nil && !n.Anonymous && n.Fault.Reason == findings.Rights {
					all = append(all, seen{subject: n.Addr, detail: n.Fault.Text})
				}
			}
			for _, n := range v.nodes {
				if v.mode() != health.ModeCluster && len(n.Rights.Denied) > 0 {
					all = append(all, seen{subject: n.Addr, detail: deniedText(n.Rights), severity: rightsSeverity(n.Rights.Denied)})
				}
			}
			return all
		},
	},
	{
		Code: "sentinel-user-rights", Severity: health.SeverityError, Title: "The user of the sentinels may not do what a failover needs",
		Why:  "A replica that cannot be made a master, or told to follow one, lets the failover fail.",
		Fix:  "On every node: redis-cli ACL SETUSER USER +ping +info +role +subscribe +publish +multi +exec +slaveof +config|rewrite +client|setname +client|kill +script|kill '&__sentinel__:hello', and the same in the ACL file.",
		When: "ACL DRYRUN says no to the user by which a sentinel is connected (CLIENT LIST)",
		find: func(v *view) []seen { return v.others(survey.ForSentinel) },
	},
	{
		Code: "redis-masteruser-rights", Severity: health.SeverityError, Title: "The user of the replicas may not replicate",
		Why:  "A replica that logs in with it gets no data. After a failover this counts for the old master too.",
		Fix:  "On every node: redis-cli ACL SETUSER USER on >PASSWORD +ping +psync +replconf, and the same in the ACL file.",
		When: "the user of masteruser does not exist, or ACL DRYRUN says no to PING, REPLCONF or PSYNC",
		find: func(v *view) []seen { return v.others(survey.ForReplica) },
	},
	{
		Code: "redis-config-hidden", Severity: health.SeverityInfo, Title: "The settings of a server cannot be read",
		Why:  "What depends on them was not checked: persistence, masterauth, min-replicas-to-write, priorities.",
		Fix:  "Run the doctor with a user that has +config|get, or check them by hand.",
		When: "CONFIG GET is refused",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if text, ok := n.Refused["CONFIG GET"]; ok {
					all = append(all, seen{subject: n.Addr, detail: "CONFIG GET: " + text})
				}
			}
			return all
		},
	},
}

func rightsSeverity(denied []string) health.Severity {
	for _, command := range denied {
		if anyOf(command, required...) {
			return health.SeverityError
		}
	}
	return health.SeverityWarning
}

func deniedText(r survey.Rights) string {
	how := "ACL DRYRUN says no to "
	if r.How == survey.RightsTried {
		how = "NOPERM for "
	}
	return how + strings.Join(r.Denied, ", ")
}

// others are the servers where the user of somebody else lacks rights.
func (v *view) others(whose string) (all []seen) {
	for _, n := range v.nodes {
		for _, u := range n.Others {
			switch {
			case u.For != whose:
			case u.Absent:
				all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("ACL DRYRUN: there is no user %q", u.Name)})
			case len(u.Denied) > 0:
				all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("ACL DRYRUN %s says no to %s", u.Name, strings.Join(u.Denied, ", "))})
			}
		}
	}
	return all
}
