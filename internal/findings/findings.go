// Package findings decides what is reported to an operator. Each finding is a function
// of plain values: one file for each subject, without a clock, a lock or a
// network. Whoever holds the values fills an [Input], and [Of] lists what is
// wrong. A finding always has a code, a severity, a title, a detail and a fix.
package findings

import (
	"slices"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/stats"
)

// Input is what findings are made of: what a Report says, and what is missing in
// it.
type Input struct {
	Report health.Report // its Findings are not read
	Now    time.Time

	// Away says why no master is in use; nil: one is, or none is wanted.
	Away *Away
	// Master is what the master in use says of us; nil: none is in use.
	Master *Master
	// Unconfigured: nobody has said where Redis is, and none is at the default
	// address.
	Unconfigured bool

	Overflowed uint64 // writes that the outbox kept as deletes
	Verifying  int    // of what is in the outbox: a master most likely has it
	Rejected   uint64 // kept writes that no master takes
	RejectedAt time.Time
	ResetAt    time.Time // when Redis came back without its data
	Rollback   *Rollback // when it came back with older data; nil: never

	// Cluster is what is seen of a Cluster; zero outside Cluster mode.
	Cluster Cluster

	// Replicas are those that reads were to use and cannot.
	Replicas []Replica

	Tombstones stats.Tombstones
	MaxMemory  uint64 // of Redis, in bytes; 0: none, or not known

	KeyFiles []KeyFiles
	Classes  []Class
	Journal  JournalFile

	// Others are findings that are made elsewhere.
	Others []health.Finding
}

// Of lists what is wrong.
func Of(in Input) []health.Finding {
	r := in.Report
	sentinels, cluster := sentinels(r.Sentinel), clusters(r.Cluster, in)
	var master, kept []health.Finding
	if !in.Unconfigured { // else there is nowhere to send anything
		kept = outbox(r, in.Overflowed, in.Verifying)
	}
	switch {
	case in.Away != nil && explains(r.Cluster):
	case in.Away != nil:
		master = without(sentinels, away(*in.Away, r))
		if has(sentinels, health.CodeSentinelNoQuorum) { // that is why the master stays away: it is told first
			master, sentinels = append(sentinels, master...), nil
		}
	case in.Master != nil:
		master = masters(*in.Master, r)
	}
	return shown(slices.Concat(
		master,
		tombstones(in.Tombstones, in.MaxMemory),
		keyFiles(in.KeyFiles, in.Now),
		clocks(r.Clock),
		sentinels,
		set(r.Sentinel),
		cluster,
		replicaReads(in.Replicas),
		kept,
		recovery(r, in.ResetAt, in.Now),
		rollback(in.Rollback, r.Recovery, in.Now),
		rejected(in.Rejected, in.RejectedAt, in.Now),
		values(in.Classes, in.Now),
		origins(in.Classes, in.Now),
		journal(r.Journal, in.Journal, in.Now),
		in.Others,
	))
}

func has(fs []health.Finding, code string) bool {
	return slices.ContainsFunc(fs, func(f health.Finding) bool { return f.Code == code })
}

// without is f, unless one of others has its code: that one knows more.
func without(others []health.Finding, f health.Finding) []health.Finding {
	if has(others, f.Code) {
		return nil
	}
	return []health.Finding{f}
}

// maxDetail bounds the detail of a finding, in bytes.
const maxDetail = 2 << 10

// maxTitle bounds the title.
const maxTitle = 300

// shown are findings whose details can be shown: a server may have said what is in
// them.
func shown(fs []health.Finding) []health.Finding {
	for i := range fs {
		fs[i].Title = censor.Text(fs[i].Title, maxTitle)
		fs[i].Detail = censor.Text(fs[i].Detail, maxDetail)
		fs[i].Fix = censor.Text(fs[i].Fix, maxDetail)
	}
	return fs
}
