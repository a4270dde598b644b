package doctor

import (
	"fmt"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// fullAt is the share of maxmemory from which a server counts as nearly full.
const fullAt = 0.9

var memoryChecks = []Check{
	{
		Code: health.CodeRevocationsEvictable, Severity: health.SeverityWarning, Title: "Redis may evict the denylist",
		Why:  "An evicted revocation is written again. Until then its status is unknown, and by default the token is refused.",
		Fix:  "Set maxmemory-policy to a volatile one or noeviction, or give the denylist a Redis of its own.",
		When: "the denylist is used (EVERCACHE_REVOCATIONS is on or required, or there is one) and maxmemory-policy is an allkeys one",
		find: func(v *view) []seen {
			return v.eachPolicy(func(policy string, most int64) bool {
				return v.denylist() && most > 0 && strings.HasPrefix(policy, "allkeys")
			})
		},
	},
	{
		Code: health.CodeRedisEvicts, Severity: health.SeverityInfo, Title: "Redis evicts keys when its memory is full",
		Why:  "After an outage in which keys were evicted, the keys of kept writes are deleted instead of written.",
		Fix:  "Where acknowledged writes matter more than room: noeviction, and enough memory. docs/operations.md compares them.",
		When: "maxmemory is set, and maxmemory-policy is not noeviction",
		find: func(v *view) []seen {
			return v.eachPolicy(func(policy string, most int64) bool { return most > 0 && policy != "noeviction" })
		},
	},
	{
		Code: "redis-noeviction", Severity: health.SeverityInfo, Title: "Redis refuses writes when its memory is full",
		Why:  "Writes are kept then, until there is room. No acknowledged write is evicted: for evercache this is the safer policy.",
		Fix:  "Nothing to do if that is meant. For a cache that may forget: maxmemory-policy allkeys-lfu.",
		When: "maxmemory is set, and maxmemory-policy is noeviction",
		find: func(v *view) []seen {
			return v.eachPolicy(func(policy string, most int64) bool { return most > 0 && policy == "noeviction" })
		},
	},
	{
		Code: "redis-memory-full", Severity: health.SeverityWarning, Title: "Redis has little memory left",
		Why:  "When it is full it refuses writes.",
		Fix:  "Raise maxmemory, give keys a shorter TTL, or let Redis evict: redis-cli INFO memory, --bigkeys.",
		When: "used_memory is above 90 % of maxmemory, and maxmemory-policy is noeviction; an error where it is all of it",
		find: func(v *view) (all []seen) {
			for _, n := range v.masters() {
				used, _ := n.Info.Int("used_memory")
				if most := maxMemory(n); most > 0 && policyOf(n) == "noeviction" && float64(used) >= fullAt*float64(most) {
					x := seen{subject: n.Addr, detail: fmt.Sprintf("INFO memory: used_memory:%d, maxmemory:%d", used, most)}
					if used >= most {
						x.severity, x.title = health.SeverityError, "Redis is full, and refuses writes"
					}
					all = append(all, x)
				}
			}
			return all
		},
	},
	{
		Code: "redis-no-maxmemory", Severity: health.SeverityInfo, Title: "Redis has no bound for its memory",
		Why:  "It grows until the kernel ends it, or its machine swaps.",
		Fix:  "redis-cli CONFIG SET maxmemory 2gb on every node, and in redis.conf: less than the machine has, since copies for replicas and snapshots come on top.",
		When: "maxmemory is 0",
		find: func(v *view) (all []seen) {
			for _, n := range v.masters() {
				if _, known := n.Info["maxmemory"]; known && maxMemory(n) == 0 {
					all = append(all, seen{subject: n.Addr, detail: "INFO memory: maxmemory:0"})
				}
			}
			return all
		},
	},
}

// eachPolicy are the masters of which something is true of maxmemory-policy and
// maxmemory.
func (v *view) eachPolicy(is func(policy string, most int64) bool) (all []seen) {
	for _, n := range v.masters() {
		if p := policyOf(n); p != "" && is(p, maxMemory(n)) {
			all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("INFO memory: maxmemory_policy:%s, maxmemory:%d", p, maxMemory(n))})
		}
	}
	return all
}

func policyOf(n *survey.Node) string { return n.Info["maxmemory_policy"] }

func maxMemory(n *survey.Node) int64 {
	most, _ := n.Info.Int("maxmemory")
	return most
}
