package doctor

import (
	"fmt"
	"slices"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

var loginChecks = []Check{
	{
		Code: "redis-masterauth", Severity: health.SeverityError, Title: "A node cannot log in to its master",
		Why:  "A replica without it gets no data. A master without it cannot come back as a replica after a failover.",
		Fix:  "On every node, the master too: redis-cli CONFIG SET masterauth PASSWORD (and masteruser), and the same in redis.conf.",
		When: "masterauth is not set, or is not the password of the master, where the master asks for one",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if why := v.loginGap(n); why != "" {
					all = append(all, seen{subject: n.Addr, detail: why})
				}
			}
			return all
		},
	},
	{
		Code: "redis-tls-replication", Severity: health.SeverityError, Title: "A node does not speak TLS to its master",
		Why:  "The servers take TLS only. As a replica it cannot connect, now or after the next failover.",
		Fix:  "redis-cli CONFIG SET tls-replication yes on every node, and in redis.conf.",
		When: "port is 0, tls-port is not, and tls-replication is no",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if v.mode() != health.ModeStandalone && n.Config["port"] == "0" && n.Config["tls-replication"] == "no" {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("CONFIG GET port: 0, tls-port: %s, tls-replication: no", n.Config["tls-port"])})
				}
			}
			return all
		},
	},
	{
		Code: "redis-open", Severity: health.SeverityInfo, Title: "A server asks for no password",
		Why:  "Everybody who reaches it can read and change the data.",
		Fix:  "Set requirepass or ACL users, with masterauth on every node, or let a firewall guard the port.",
		When: "a server that is not on this machine answers without a login",
		find: func(v *view) (all []seen) {
			for _, n := range v.nodes {
				if pass, ok := n.Config["requirepass"]; ok && pass == "" && !v.Settings.Password && !loopback(n.Addr) {
					all = append(all, seen{subject: n.Addr, detail: "it answers without a login; CONFIG GET requirepass is empty"})
				}
			}
			return all
		},
	},
	{
		Code: health.CodeSentinelPlaintext, Severity: health.SeverityInfo, Title: "The Redis password is sent without TLS to addresses that others announce",
		Why:  "Whoever can answer at one of these addresses, or read the network traffic, learns the password.",
		Fix:  "Set REDIS_TLS=true. Or list the nodes that you trust in REDIS_ADDRESS_MAP, such as 10.0.0.1:6379=10.0.0.1:6379.",
		When: "in Sentinel mode, a password is set, TLS is not, and a node is not on this machine and not in REDIS_ADDRESS_MAP",
		find: func(v *view) []seen {
			var addrs []string
			for _, n := range v.nodes {
				if _, mapped := v.Settings.AddressMap[n.Addr]; v.mode() == health.ModeSentinel && v.Settings.Password && !v.Settings.TLS && !loopback(n.Addr) && !mapped {
					addrs = append(addrs, n.Addr)
				}
			}
			if len(addrs) == 0 {
				return nil
			}
			return []seen{{detail: list(addrs)}}
		},
	},
}

// loginGap is why a node could not log in to a master; "": it could, or it is not known.
func (v *view) loginGap(n *survey.Node) string {
	own, ok := n.Config["masterauth"]
	if !ok || v.mode() == health.ModeStandalone {
		return ""
	}
	for _, m := range v.masters() {
		if m.Config["requirepass"] != survey.IsSet {
			continue
		}
		if own == "" {
			return fmt.Sprintf("CONFIG GET masterauth is empty; %s asks for a password (requirepass)", m.Addr)
		}
		if fits, known := n.Fits(*m); known && !fits && n.Config["masteruser"] == "" {
			return fmt.Sprintf("CONFIG GET masterauth is not the password (requirepass) of %s", m.Addr)
		}
	}
	return ""
}

// lacksLogin reports whether a node cannot log in to its master.
func (v *view) lacksLogin(n *survey.Node) bool { return v.loginGap(n) != "" }

// anyOf reports whether a text is one of several.
func anyOf(text string, all ...string) bool { return slices.Contains(all, text) }
