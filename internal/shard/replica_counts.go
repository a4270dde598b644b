package shard

import (
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/counter"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/stats"
)

// copyCounts count what became of questions to replicas, by key.
type copyCounts struct {
	answered atomic.Uint64
	refused  counter.Labelled
}

const (
	noReplica = "none"   // none can be asked: there is none, or each rests, or has too many questions
	moving    = "moving" // the key's slot moves
)

func newCopyCounts() copyCounts {
	labels := []string{noReplica, moving}
	for _, v := range verdicts {
		labels = append(labels, string(v))
	}
	return copyCounts{refused: counter.NewLabelled(labels...)}
}

// refuse counts keys for which the master is asked.
func (c *copyCounts) refuse(reason string, keys int) {
	for range keys {
		c.refused.Add(reason)
	}
}

// replicaStats is nil where replicas are not read from.
func (st *Store) replicaStats() *stats.Replicas {
	if !st.Config.ReplicaReads {
		return nil
	}
	return &stats.Replicas{Answered: st.copies.answered.Load(), Refused: st.copies.refused.Snapshot()}
}

// replicaCounts are those of one replica.
type replicaCounts struct {
	answered, refused atomic.Uint64
	last              atomic.Pointer[string] // why it was refused last

	// Of the keeper's goroutine.
	at         time.Time
	had, lacks uint64

	useless atomic.Bool // nearly all of its answers are refused
}

// refuse notes an answer that says that the replica is of no use at this moment.
func (c *replicaCounts) refuse(why string, keys int) {
	c.refused.Add(uint64(keys))
	c.last.Store(&why)
}

// Of what was refused in usefulEach, a tenth has to be answered: else the replica is of
// no use. Few questions show nothing.
const (
	usefulEach  = 10 * time.Second
	usefulLeast = 5
)

// look judges the replica by its last answers, now and then.
func (c *replicaCounts) look(now time.Time) {
	if now.Sub(c.at) < usefulEach {
		return
	}
	answered, refused := c.answered.Load(), c.refused.Load()
	if !c.at.IsZero() {
		c.useless.Store(isUseless(answered-c.had, refused-c.lacks))
	}
	c.at, c.had, c.lacks = now, answered, refused
}

func isUseless(answered, refused uint64) bool {
	return refused >= usefulLeast && 10*answered < refused
}

// troubledReplicas are those that no read can use, with the reason.
func (st *Store) troubledReplicas() (all []findings.Replica) {
	for _, sh := range st.shards() {
		if sh.replicas == nil {
			continue
		}
		for _, one := range sh.replicas.list() {
			if f, bad := one.trouble(); bad {
				all = append(all, f)
			}
		}
	}
	return all
}

func (one *replica) trouble() (findings.Replica, bool) {
	f := findings.Replica{Addr: one.addr}
	err := one.dialError()
	switch remote.KindOf(err) {
	case remote.NoPerm, remote.Auth, remote.TLS, remote.MaxClients:
		f.Reason = err.Error()
		return f, true
	}
	last := one.counts.last.Load()
	if last == nil || !one.counts.useless.Load() {
		return f, false
	}
	f.Reason = *last
	return f, true
}

// texts of verdicts are for findings.
var verdictTexts = map[verdict]string{
	older:     "it has none of the last heartbeats of this process: it does not follow the master, or its link to it is broken",
	stranger:  "it has a heartbeat that was never sent: it is not a replica of the master",
	lagging:   "the last heartbeat that it has is older than Policy.MaxStaleness",
	forbidden: "its ACL forbids what reads need",
	failed:    "it gives no answer in time",
}
