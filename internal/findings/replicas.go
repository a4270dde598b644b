package findings

import "github.com/evercache/evercache/health"

// Replica is one that reads were to use and cannot, and why.
type Replica struct{ Addr, Reason string }

func replicaReads(rs []Replica) []health.Finding {
	if len(rs) == 0 {
		return nil
	}
	texts := make([]string, len(rs))
	for i, r := range rs {
		texts[i] = r.Addr + ": " + r.Reason
	}
	return []health.Finding{{
		Code: health.CodeRedisReplicaReads, Severity: health.SeverityWarning,
		Title:  "Replicas that reads were to use answer nothing of use: the master is asked",
		Detail: some(texts),
		Fix:    "Look at the replica's link to its master (INFO replication). Where its ACL forbids something, allow READONLY, ROLE, HELLO, INFO, GETRANGE, PEXPIRETIME (PTTL and TIME before Redis 7) and the heartbeat's key there too. Where it lags, give Policy.MaxStaleness more room, or leave ReplicaReads off.",
	}}
}
