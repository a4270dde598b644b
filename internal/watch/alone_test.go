package watch

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
)

// Where no replica can be promoted the master alone proves nothing: one that it
// does not see may have been. What a majority said shows that it had not been, as
// long ago as sentinels may take to tell each other.
func TestWithoutAReplicaTheSentinelsSayWhoWasTheOnlyMaster(t *testing.T) {
	named := time.Unix(100, 0)
	now := sentinel.Decision{Master: addr(1), Stage: sentinel.Clear, Confirmed: true, NamedAt: named}
	barrier := sentinel.Barrier{Node: addr(1), By: []sentinel.Addr{}}
	for name, tt := range map[string]struct {
		change func(*sentinel.Decision, *sentinel.Barrier)
		want   time.Time
	}{
		"a majority names it": {func(*sentinel.Decision, *sentinel.Barrier) {}, named.Add(-2 * time.Second)},
		"no majority does":    {func(d *sentinel.Decision, _ *sentinel.Barrier) { d.NamedAt = time.Time{} }, time.Time{}},
		"suspect":             {func(d *sentinel.Decision, _ *sentinel.Barrier) { d.Stage = sentinel.Suspect }, time.Time{}},
		"provisional":         {func(d *sentinel.Decision, _ *sentinel.Barrier) { d.Confirmed = false }, time.Time{}},
		"unproven":            {func(_ *sentinel.Decision, b *sentinel.Barrier) { b.Fault = sentinel.FaultUnproven }, time.Time{}},
		"a replica lacks it":  {func(d *sentinel.Decision, _ *sentinel.Barrier) { d.Promotable = []sentinel.Addr{addr(2)} }, time.Time{}},
		"a node that answers lacks it, such as a former master": {func(d *sentinel.Decision, b *sentinel.Barrier) {
			d.Promotable, d.InSight, b.By = []sentinel.Addr{addr(2), addr(3)}, []sentinel.Addr{addr(2), addr(3)}, []sentinel.Addr{addr(2)}
		}, named.Add(-3 * time.Second)},
		"one that does not answer lacks it, too": {func(d *sentinel.Decision, b *sentinel.Barrier) {
			d.Promotable, d.InSight = []sentinel.Addr{addr(2), addr(3)}, []sentinel.Addr{addr(2)}
		}, time.Time{}},
		"one lacks it, and no majority names it": {func(d *sentinel.Decision, b *sentinel.Barrier) {
			d.Promotable, d.InSight, d.NamedAt = []sentinel.Addr{addr(2)}, []sentinel.Addr{addr(2)}, time.Time{}
		}, time.Time{}},
		"one lacks it, and so no alarm ends": {func(d *sentinel.Decision, b *sentinel.Barrier) {
			d.Promotable, d.InSight, d.Stage = []sentinel.Addr{addr(2)}, []sentinel.Addr{addr(2)}, sentinel.Suspect
		}, named.Add(-3 * time.Second)},
		"one lacks it, and the master is fenced": {func(d *sentinel.Decision, b *sentinel.Barrier) {
			d.Promotable, d.InSight, d.Stage = []sentinel.Addr{addr(2)}, []sentinel.Addr{addr(2)}, sentinel.Fenced
		}, time.Time{}},
		"one lacks it, and the master is provisional": {func(d *sentinel.Decision, b *sentinel.Barrier) {
			d.Promotable, d.InSight, d.Confirmed = []sentinel.Addr{addr(2)}, []sentinel.Addr{addr(2)}, false
		}, time.Time{}},
		"all have it, but the master is suspect": {func(d *sentinel.Decision, b *sentinel.Barrier) {
			d.Promotable, d.InSight, b.By, d.Stage = []sentinel.Addr{addr(2)}, []sentinel.Addr{addr(2)}, []sentinel.Addr{addr(2)}, sentinel.Suspect
		}, time.Time{}},
		"a replica has it": {func(d *sentinel.Decision, b *sentinel.Barrier) {
			d.Promotable, b.By = []sentinel.Addr{addr(2)}, []sentinel.Addr{addr(2)}
		}, time.Time{}}, // which says more
	} {
		d, b := now, barrier
		tt.change(&d, &b)
		if got := shown(b, d); !got.AloneAt.Equal(tt.want) || got.Alone && !got.AloneAt.IsZero() || got.Confirms && len(b.By) < len(d.Promotable) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
