package shard

import (
	"errors"
	"net"

	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/watch"
)

// clusterEvents are the reasons for which a shard of a Cluster has no master in use, or
// none is known.
var clusterEvents = []struct {
	is     error
	reason findings.Reason
}{
	{watch.ErrNotCluster, findings.ClusterOther},
	{watch.ErrDown, findings.ClusterDown},
	{watch.ErrElsewhere, findings.ClusterElsewhere},
	{watch.ErrFailed, findings.ClusterFailover},
	{watch.ErrTakenOver, findings.ClusterFailover},
	{watch.ErrReplicaNow, findings.ClusterFailover},
	{watch.ErrNoSlots, findings.ClusterFailover},
	{watch.ErrNoAnswer, findings.ClusterSilent},
	{watch.ErrLongSilence, findings.ClusterSilent},
}

// clusterReason is what an error of Cluster mode comes from; false: it is none.
func clusterReason(cause error) (findings.Reason, bool) {
	for _, e := range clusterEvents {
		if errors.Is(cause, e.is) {
			return e.reason, true
		}
	}
	switch {
	case !errors.Is(cause, watch.ErrNoCluster):
		return 0, false
	case cause == watch.ErrNoCluster:
		return findings.ClusterNone, true
	case errors.Unwrap(cause) == watch.ErrNoCluster: // no node is to blame: they differ
		return findings.ClusterSeveral, true
	}
	return NodeReason(cause), true
}

// NodeReason is what a node of a Cluster fails at, or why it is not used as the master of
// its shard.
func NodeReason(err error) findings.Reason {
	for _, e := range clusterEvents {
		if errors.Is(err, e.is) {
			return e.reason
		}
	}
	switch {
	case errors.Is(err, remote.ErrWantsTLS), errors.Is(err, remote.ErrPlain):
		return findings.ClusterTLS
	case unresolved(err):
		return findings.ClusterName
	case errors.Is(err, remote.ErrNotRedis), errors.Is(err, remote.ErrSentinel):
		return findings.ClusterOther
	case errors.Is(err, remote.ErrOtherNode):
		return findings.ClusterElsewhere
	case errors.Is(err, watch.ErrLoading):
		return findings.ClusterRestarted
	}
	if r, ok := nodeReasons[remote.KindOf(err)]; ok {
		return r
	}
	return findings.ClusterAway
}

// unresolved reports whether a name led nowhere.
func unresolved(err error) bool {
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

// nodeReasons are those of replies. What is not here is ClusterAway.
var nodeReasons = map[remote.Kind]findings.Reason{
	remote.Auth:        findings.ClusterLogin,
	remote.NoPerm:      findings.ClusterRights,
	remote.TLS:         findings.ClusterTLS,
	remote.Loading:     findings.ClusterRestarted,
	remote.ReadOnly:    findings.ClusterFailover,
	remote.MasterDown:  findings.ClusterFailover,
	remote.ClusterDown: findings.ClusterDown,
}
