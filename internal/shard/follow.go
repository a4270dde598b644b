package shard

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/counter"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/watch"
	"github.com/evercache/evercache/stats"
)

// followSentinels is keepMaster in Sentinel mode.
func (sh *Shard) followSentinels(ctx context.Context) {
	_, password := sh.Config.Secrets()
	node := sh.NodeConfig("")
	node.HidePassword() // a sentinel may know it, and speaks first
	watch.Run(ctx, watch.Config{
		Master:    sh.Config.MasterName,
		Sentinels: sh.resolveSentinels(ctx),
		Login: remote.Config{
			Username:     sh.Config.SentinelUsername,
			Password:     password,
			PasswordFile: sh.Config.SentinelPasswordFile,
			TLS:          sh.Config.SentinelTLS,
			TLSNow:       sh.Config.SentinelTLSNow,
			DialTimeout:  sh.Config.DialTimeout,
			Sentinel:     true,
		},
		Node:      node,
		Map:       sh.Config.AddressMap,
		Heartbeat: sh.Heartbeat(),
		Rests:     sh.rests,
		Observer:  sh.Redis,
		Log:       sh.Log,
	}, watch.Hooks{
		Up:     sh.masterUp,
		Down:   sh.masterDown,
		Failed: sh.countDialError,
		Beat:   sh.heartbeatAnswered,
		News:   sh.setChanged,
		Done:   sh.episodesEnded,
	})
}

// setChanged keeps what is known of the set.
func (st *Store) setChanged(v watch.View) {
	st.View.Store(&v)
	if v.Reason != nil {
		st.blame(v.Reason)
	}
}

// resolveSentinels turns a single DNS name into its addresses, asking until it
// has some. Several names are dialled as they are.
func (st *Store) resolveSentinels(ctx context.Context) []string {
	if len(st.Config.Sentinels) != 1 {
		return st.Config.Sentinels
	}
	host, port, _ := net.SplitHostPort(st.Config.Sentinels[0])
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 2*time.Second) {
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		ips, err := net.DefaultResolver.LookupHost(bounded, host)
		cancel()
		if err == nil {
			addrs := make([]string, len(ips))
			for i, ip := range ips {
				addrs[i] = net.JoinHostPort(ip, port)
			}
			return addrs
		}
		at, _ := sentinel.SplitAddr(st.Config.Sentinels[0])
		st.blame(fmt.Errorf("resolve sentinels: %w", &watch.SentinelError{Sentinel: at, Err: err}))
		if remote.Pause(ctx, delay) != nil {
			return nil
		}
	}
}

func (sh *Shard) episodesEnded(records []sentinel.Record) {
	for _, r := range records {
		if r.Failover() {
			f := sh.failover(r)
			sh.failovers.Add(f.Cause)
			sh.downtimeLengths.ObserveIn(counter.DowntimeBounds, f.Blackout)
			sh.status.failedOver(f)
			sh.logFailover(f)
		}
	}
}

// logFailover is the one line about a failover that has ended.
func (st *Store) logFailover(f health.Failover) {
	count := 0
	if v := st.View.Load(); v != nil {
		count = v.Status.Failovers
	}
	st.Log.LogAttrs(st.Ctx, slog.LevelWarn, "failover", slog.String("event", "failover"),
		slog.String("from", f.From), slog.String("to", f.To), slog.String("cause", f.Cause), slog.Int64("epoch", f.Epoch),
		slog.Float64("blackout_s", f.Blackout.Seconds()), slog.Uint64("replayed", f.Replayed), slog.Int("count", count))
}

func (sh *Shard) failover(r sentinel.Record) health.Failover {
	f := health.Failover{
		At: r.Adopted, From: r.From.String(), To: r.To.String(), Cause: r.Cause.String(), Epoch: r.Epoch,
		SDown: r.SDown, ODown: r.ODown, Promoted: r.Promoted, Confirmed: r.Confirmed,
	}
	if f.At.IsZero() {
		f.At = r.Opened
	}
	to := cmp.Or(sh.Config.AddressMap[f.To], f.To)
	f.Blackout, f.Replayed = sh.downtimes.of(to, f.At, sh.replayed.Load())
	return f
}

// sentinelHealth is nil outside Sentinel mode. The failovers are not in it: only
// who asks for the whole of Health needs them.
func (sh *Shard) sentinelHealth() *health.Sentinel {
	if sh.Config.Mode != health.ModeSentinel {
		return nil
	}
	h := &health.Sentinel{MasterName: sh.Config.MasterName, Configured: sh.Config.Sentinels, Stage: sentinel.Fenced.String()}
	v := sh.View.Load()
	if v == nil {
		return h
	}
	st := v.Status
	h.CurrentMaster, h.Stage = v.Decision.Master.String(), v.Decision.Stage.String()
	h.Provisional, h.Epoch = !v.Decision.Master.IsZero() && !v.Decision.Confirmed, max(0, v.Decision.Epoch)
	h.FailoverCount = st.Failovers
	h.Known, h.Reachable, h.Agreeing, h.Needed, h.Quorum, h.CanFailOver = st.Known, st.Reachable, st.Agreeing, st.Needed, st.Quorum, st.CanFailOver()
	h.Monitoring, h.HoldDown, h.DownAfter = st.Monitoring, st.HoldDown, st.DownAfter
	h.Rejected, h.Forbidden = st.Rejected, v.Forbidden
	h.Sentinels, h.Nodes = make([]health.SentinelNode, 0, len(st.Sentinels)), make([]health.Node, 0, len(st.Nodes))
	for _, s := range st.Sentinels {
		h.Sentinels = append(h.Sentinels, health.SentinelNode{
			Addr: s.Addr.String(), Reachable: s.Reachable, Monitoring: s.Monitoring, Err: v.Troubles[s.Addr], Code: troubleCode(v.Troubles[s.Addr]), Names: s.Named.String(), Epoch: max(0, s.Epoch), Tilt: s.Tilt, Rejected: s.Rejected,
			Differs: s.Differs, Alone: texts(s.Alone),
		})
	}
	for _, n := range st.Nodes {
		h.Nodes = append(h.Nodes, health.Node{
			Addr: n.Addr.String(), Role: n.Role.String(), Reachable: n.Reachable, Follows: n.Follows.String(), Promotable: n.Promotable,
			Link: n.Link, LagBytes: n.LagBytes, Lag: n.Lag,
		})
	}
	h.Plaintext = sh.plaintext(h.Nodes)
	return h
}

// FailoverHistory lists the last failovers, oldest first.
func (st *Store) FailoverHistory() (all []health.Failover) {
	if st.Config.Mode == health.ModeCluster {
		return st.clusterFailovers()
	}
	v := st.View.Load()
	if v == nil {
		return nil
	}
	for _, r := range v.History {
		if r.Failover() {
			all = append(all, st.one.failover(r))
		}
	}
	return all
}

// plaintext are the nodes that get the password without TLS by others' word.
func (sh *Shard) plaintext(nodes []health.Node) (addrs []string) {
	if n := sh.NodeConfig(""); n.Password == "" && n.PasswordFile == "" || n.TLS != nil || n.TLSNow != nil {
		return nil
	}
	for _, n := range nodes {
		host, _, _ := net.SplitHostPort(n.Addr)
		_, listed := sh.Config.AddressMap[n.Addr]
		if ip := net.ParseIP(host); !listed && host != "localhost" && !ip.IsLoopback() {
			addrs = append(addrs, n.Addr)
		}
	}
	return addrs
}

func texts(addrs []sentinel.Addr) []string {
	if len(addrs) == 0 {
		return nil
	}
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return out
}

// sentinelStats is nil outside Sentinel mode.
func (st *Store) sentinelStats() *stats.Sentinel {
	if st.Config.Mode != health.ModeSentinel {
		return nil
	}
	s := &stats.Sentinel{FailoversByCause: st.failovers.Snapshot(), Blackouts: st.downtimeLengths.SnapshotOf(counter.DowntimeBounds)}
	if v := st.View.Load(); v != nil {
		s.Events = v.Events
	}
	return s
}

// troubleCode is the code of the finding about the error of a sentinel.
func troubleCode(err error) string {
	if err == nil {
		return ""
	}
	return findings.SentinelCode(blames[watch.BlameFor(err)])
}
