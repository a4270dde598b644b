package shard

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// The dataset is another one, however that is noticed.
func TestWhatADatasetHasLostIsToldByWhatTheServerSays(t *testing.T) {
	t.Parallel()
	const at, other = "n1:6379", "n2:6379"
	now := time.Unix(10_000, 0)
	run := func(id string, generation uint64) Evictions {
		return Evictions{Generation: generation, Last: remote.Evictions{Run: id}}
	}
	was := dataset{addr: at, marker: "M", seen: run("1", 1), last: answered{N: 9, at: now.Add(-time.Minute)}}
	unmarked, longAgo, untaken := was, was, was
	unmarked.marker, longAgo.last.at, untaken.last = "", now.Add(-heartbeatTTL), answered{}
	hidden := remote.Held{Addr: at, BarrierUnknown: true, DatasetUnknown: true}
	same, again, evicted, untold := run("1", 1), run("2", 2), run("1", 2), run("", 2)
	for _, tt := range []struct {
		name string
		was  dataset
		held remote.Held
		seen Evictions
		want loss
	}{
		{"a reconnect", was, remote.Held{Addr: at, Barrier: 9, Dataset: "M"}, same, noLoss},
		{"a barrier whose answer was lost", was, remote.Held{Addr: at, Barrier: 10, Dataset: "M"}, same, noLoss},
		{"a restart with all barriers", was, remote.Held{Addr: at, Barrier: 9, Dataset: "M"}, again, lostItsTail},
		{"an earlier barrier", was, remote.Held{Addr: at, Barrier: 8, Dataset: "M"}, again, lostLatest},
		{"an earlier barrier in the same run", was, remote.Held{Addr: at, Barrier: 8, Dataset: "M"}, same, lostLatest},
		{"a snapshot of before our first barrier", was, remote.Held{Addr: at, Dataset: "M"}, again, lostLatest},
		{"a failover", was, remote.Held{Addr: other, Barrier: 9, Dataset: "M"}, again, lostItsTail},
		{"a failover to an earlier barrier", was, remote.Held{Addr: other, Barrier: 8, Dataset: "M"}, again, lostItsTail},
		{"a failover before our first barrier", was, remote.Held{Addr: other, Dataset: "M"}, again, lostItsTail},
		{"a failover to a node that was emptied", was, remote.Held{Addr: other, Dataset: "N"}, again, lostAll},
		{"emptied", was, remote.Held{Addr: at}, again, lostAll},
		{"emptied, another process was there first", was, remote.Held{Addr: at, Dataset: "N"}, again, lostAll},
		{"the same, and INFO is forbidden", was, remote.Held{Addr: at, Dataset: "N"}, untold, lostAll},
		{"flushed unheard, another process was there first", was, remote.Held{Addr: at, Dataset: "N"}, same, lostAll},
		{"evicted, and marked again by another process", was, remote.Held{Addr: at, Dataset: "N"}, evicted, noLoss},
		{"marked again by another process", was, remote.Held{Addr: at, Barrier: 9, Dataset: "N"}, same, noLoss},
		{"the barrier alone is gone", was, remote.Held{Addr: at, Dataset: "M"}, same, noLoss},
		{"the marker alone is gone", was, remote.Held{Addr: at, Barrier: 9}, same, noLoss},
		{"the marker was never known, and the barrier is gone", unmarked, remote.Held{Addr: at, Dataset: "N"}, again, lostAll},
		{"the ACL hides the marker, and the barrier is gone", was, remote.Held{Addr: at, DatasetUnknown: true}, again, lostAll},
		{"the ACL hides the marker", was, remote.Held{Addr: at, Barrier: 9, DatasetUnknown: true}, same, noLoss},
		{"the ACL hides the barrier, and the marker is another", was, remote.Held{Addr: at, Dataset: "N", BarrierUnknown: true}, again, lostAll},
		{"the ACL hides the barrier", was, remote.Held{Addr: at, Dataset: "M", BarrierUnknown: true}, same, noLoss},
		{"the ACL hides both", was, hidden, same, noLoss},
		{"the ACL hides both, and it was restarted", was, hidden, again, lostItsTail},
		{"an outage in which barriers end", longAgo, remote.Held{Addr: at, Dataset: "M"}, same, noLoss},
		{"the same, and it was restarted", longAgo, remote.Held{Addr: at, Dataset: "M"}, again, lostItsTail},
		{"the same, emptied", longAgo, remote.Held{Addr: at}, again, lostAll},
		{"the same, emptied, another process was there first", longAgo, remote.Held{Addr: at, Dataset: "N"}, again, lostAll},
		{"no barrier was taken", untaken, remote.Held{Addr: at, Dataset: "M"}, same, noLoss},
		{"the same, and it was restarted", untaken, remote.Held{Addr: at, Dataset: "M"}, again, lostItsTail},
		{"the same, emptied", untaken, remote.Held{Addr: at, Dataset: "N"}, again, lostAll},
		{"the first server", dataset{}, remote.Held{Addr: at, Dataset: "N"}, again, noLoss},
	} {
		if got := tt.was.lossOn(tt.held, tt.seen, now); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
