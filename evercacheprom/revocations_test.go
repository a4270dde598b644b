package evercacheprom_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/stats"
)

func denylist(s stats.Denylist) prometheus.Collector {
	return evercacheprom.NewRevocations(func() stats.Denylist { return s })
}

func TestNamesAndValuesOfRevocations(t *testing.T) {
	s := stats.Denylist{
		Entries: 7, Ready: true, AsOf: time.Now(), Lag: 1500 * time.Millisecond,
		Unconfirmed: 4, Untaken: 3, Unsaved: 2,
		Revoked: 11, Taken: 10, Refused: 1,
		Snapshots: 20, Gaps: 21, Lost: 22, PutBack: 23, Pruned: 24, Garbage: 25,
		Strict: 9, StrictFailed: 2,
	}
	const want = `# HELP evercache_revocations_entries Revocations in force in this process.
# TYPE evercache_revocations_entries gauge
evercache_revocations_entries 7
# HELP evercache_revocations_gaps_total Gaps in the stream; each is followed by a snapshot.
# TYPE evercache_revocations_gaps_total counter
evercache_revocations_gaps_total 21
# HELP evercache_revocations_garbage_total Members in the keys of the denylist in Redis that are not revocations.
# TYPE evercache_revocations_garbage_total counter
evercache_revocations_garbage_total 25
# HELP evercache_revocations_lag_seconds How old the knowledge is: every revocation acknowledged before is taken into account. Absent while nothing is known.
# TYPE evercache_revocations_lag_seconds gauge
evercache_revocations_lag_seconds 1.5
# HELP evercache_revocations_lost_total Times that the denylist in Redis had lost something.
# TYPE evercache_revocations_lost_total counter
evercache_revocations_lost_total 22
# HELP evercache_revocations_made_total Calls that brought a revocation into force here.
# TYPE evercache_revocations_made_total counter
evercache_revocations_made_total 11
# HELP evercache_revocations_pruned_total Expired entries that this process took out of Redis.
# TYPE evercache_revocations_pruned_total counter
evercache_revocations_pruned_total 24
# HELP evercache_revocations_put_back_total Entries that Redis lacked and that this process has sent it.
# TYPE evercache_revocations_put_back_total counter
evercache_revocations_put_back_total 23
# HELP evercache_revocations_ready 1 when a complete denylist has been read since the start.
# TYPE evercache_revocations_ready gauge
evercache_revocations_ready 1
# HELP evercache_revocations_refused_total Calls that were refused, because the denylist had no room: these revocations are not in force.
# TYPE evercache_revocations_refused_total counter
evercache_revocations_refused_total 1
# HELP evercache_revocations_snapshots_total Times that the whole denylist was read from Redis.
# TYPE evercache_revocations_snapshots_total counter
evercache_revocations_snapshots_total 20
# HELP evercache_revocations_strict_checks_total Strict checks that had to ask the master, by result; unavailable: it did not answer in time.
# TYPE evercache_revocations_strict_checks_total counter
evercache_revocations_strict_checks_total{result="ok"} 7
evercache_revocations_strict_checks_total{result="unavailable"} 2
# HELP evercache_revocations_taken_total Revocations that a master took in time.
# TYPE evercache_revocations_taken_total counter
evercache_revocations_taken_total 10
# HELP evercache_revocations_unconfirmed Revocations of this process that a failover could still lose; they are sent again then.
# TYPE evercache_revocations_unconfirmed gauge
evercache_revocations_unconfirmed 4
# HELP evercache_revocations_unsaved Untaken revocations that no journal holds: they are lost with this process.
# TYPE evercache_revocations_unsaved gauge
evercache_revocations_unsaved 2
# HELP evercache_revocations_untaken Unconfirmed revocations that no master has taken.
# TYPE evercache_revocations_untaken gauge
evercache_revocations_untaken 3
`
	if err := testutil.CollectAndCompare(denylist(s), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// A lag of 0 would say that everything is known.
func TestADenylistThatKnowsNothingHasNoLag(t *testing.T) {
	if n := testutil.CollectAndCount(denylist(stats.Denylist{}), "evercache_revocations_lag_seconds"); n != 0 {
		t.Errorf("%d series", n)
	}
	if n := testutil.CollectAndCount(denylist(stats.Denylist{Dormant: true})); n != 0 {
		t.Errorf("%d metrics of a list that nobody uses", n)
	}
	if n := testutil.CollectAndCount(denylist(stats.Denylist{}), "evercache_revocations_lost_total"); n != 1 {
		t.Errorf("%d series of a counter, want one from the start", n)
	}
}

func TestRevocationMetricsPassTheLintersBesideTheOthers(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(evercacheprom.New(counters()), denylist(stats.Denylist{AsOf: time.Now()}))
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
