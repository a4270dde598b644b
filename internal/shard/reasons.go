package shard

import (
	"errors"
	"net"

	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/watch"
)

// ReasonOf finds what an error comes from. What has happened counts before the
// kind of reply that it was noticed by.
func ReasonOf(cause error) findings.Reason {
	if e, ok := errors.AsType[*watch.SentinelError](cause); ok {
		return blames[watch.BlameFor(e.Err)]
	}
	if r, ok := clusterReason(cause); ok {
		return r
	}
	for _, e := range events {
		if errors.Is(cause, e.is) {
			return e.reason
		}
	}
	k := remote.KindOf(cause)
	switch _, unresolved := errors.AsType[*net.DNSError](cause); {
	case errors.Is(cause, remote.ErrWantsTLS):
		return findings.WantsTLS
	case errors.Is(cause, remote.ErrPlain):
		return findings.SpeaksPlain
	case unresolved:
		return findings.Unresolved
	case errors.Is(cause, remote.ErrNotRedis):
		return findings.NotRedis
	case errors.Is(cause, remote.ErrSentinel):
		return findings.IsSentinel
	case errors.Is(cause, remote.ErrNoDatabase):
		return findings.NoDatabase
	case errors.Is(cause, remote.ErrTwoServers):
		return findings.TwoServers
	case errors.Is(cause, watch.ErrNoMaster) && k != remote.Conn: // what an operator has to mend
		return Reasons[k]
	case errors.Is(cause, watch.ErrNoMaster):
		return findings.NoMaster
	case errors.Is(cause, watch.ErrGivenUp):
		return findings.NoFailover
	case remote.WasSlow(cause):
		return findings.Slow
	case k == remote.Timeout && remote.NeverConnected(cause): // nothing has taken the connection: no server hangs
		return findings.Unreachable
	}
	return Reasons[k]
}

// events are the reasons for which a known master gets no writes.
var events = []struct {
	is     error
	reason findings.Reason
}{
	{watch.ErrFenced, findings.FailingOver},
	{watch.ErrSilent, findings.Silent},
	{watch.ErrDemoted, findings.Demoted},
	{watch.ErrRival, findings.Rival},
	{watch.ErrLoading, findings.Restarted},
	{watch.ErrReturning, findings.Returning},
}

// Reasons are those of replies. What is not here is Unreachable.
var Reasons = map[remote.Kind]findings.Reason{
	remote.Timeout:      findings.TimedOut,
	remote.TLS:          findings.Handshake,
	remote.ReadOnly:     findings.ReadOnly,
	remote.Loading:      findings.Loading,
	remote.MasterDown:   findings.MasterDown,
	remote.Auth:         findings.Login,
	remote.NoPerm:       findings.Rights,
	remote.MaxClients:   findings.MaxClients,
	remote.Moved:        findings.ClusterNode,
	remote.Ask:          findings.ClusterNode,
	remote.ClusterDown:  findings.ClusterNode,
	remote.TryAgain:     findings.UnknownReply,
	remote.CrossSlot:    findings.UnknownReply,
	remote.Lacks:        findings.CommandMissing,
	remote.UnknownReply: findings.UnknownReply,
	remote.Busy:         findings.Busy,
	remote.OOM:          findings.OOM,
	remote.Misconf:      findings.Misconf,
	remote.NoReplicas:   findings.NoReplicas,
}

// blames are the reasons of what a sentinel fails at.
var blames = map[watch.Blame]findings.Reason{
	watch.BlameAway:       findings.SentinelAway,
	watch.BlameName:       findings.SentinelName,
	watch.BlameLogin:      findings.SentinelLogin,
	watch.BlameRights:     findings.SentinelRights,
	watch.BlameTLS:        findings.SentinelTLS,
	watch.BlameNoSentinel: findings.SentinelOther,
	watch.BlameMaster:     findings.SentinelMaster,
}
