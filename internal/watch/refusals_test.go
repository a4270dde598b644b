package watch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
)

func TestRefusalsAreMergedAndBounded(t *testing.T) {
	r := newRefusals()
	now := time.Now()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 1000 {
				r.add(cluster.Refused{Node: cluster.ID{1}, Fault: cluster.FaultMoved, Slot: uint16(j % 3), SentAt: now.Add(time.Duration(j*8+i) * time.Second)})
			}
		})
	}
	wg.Wait()
	some, left := r.take()
	if len(some) != 3 || left {
		t.Fatalf("%d are left of 8000 about 3 slots: %v", len(some), left)
	}
	for _, o := range some {
		if o.SentAt.Before(now.Add(7900 * time.Second)) {
			t.Errorf("an earlier one is left: %+v", o)
		}
	}
	for s := range uint16(5000) {
		r.add(cluster.Refused{Node: cluster.ID{1}, Fault: cluster.FaultMoved, Slot: s})
	}
	if len(r.seen) != maxRefusals {
		t.Errorf("%d wait", len(r.seen))
	}
	if some, left := r.take(); len(some) != refusalsMost || !left {
		t.Errorf("%d at once, left: %v", len(some), left)
	}
}

func TestARefusalIsReadFromTheReply(t *testing.T) {
	from := cluster.Addr{Host: "10.0.0.1", Port: 7000}
	for text, want := range map[string]cluster.Refused{
		"MOVED 12 10.0.0.2:7001":          {Fault: cluster.FaultMoved, Slot: 12, To: cluster.Addr{Host: "10.0.0.2", Port: 7001}},
		"MOVED 12 :7001":                  {Fault: cluster.FaultMoved, Slot: 12, To: cluster.Addr{Host: "10.0.0.1", Port: 7001}},
		"ASK 12 10.0.0.2:7001":            {Fault: cluster.FaultOther, Slot: 12, To: cluster.Addr{Host: "10.0.0.2", Port: 7001}},
		"READONLY You can't write":        {Fault: cluster.FaultDemoted, Slot: noSlot},
		"CLUSTERDOWN The cluster is down": {Fault: cluster.FaultDown, Slot: noSlot},
		"MOVED":                           {Slot: noSlot}, // makes no sense
		"MOVED 99999 10.0.0.2:7001":       {Slot: noSlot},
		"WRONGTYPE Operation":             {Slot: noSlot},
		"OOM command not allowed":         {Slot: noSlot},
	} {
		got, ok := refusalIn(text, from)
		if ok != (want.Fault != cluster.FaultNone) {
			t.Errorf("%q: taken: %v", text, ok)
		}
		if ok && (got.Fault != want.Fault || got.Slot != want.Slot || got.To != want.To) {
			t.Errorf("%q: %+v", text, got)
		}
	}
	n := &remote.Node{ID: cluster.ID{7}.String(), Addr: from.String()}
	for _, err := range []error{nil, errors.New("MOVED 12 10.0.0.2:7001"), context.DeadlineExceeded} {
		if _, ok := refusedBy(n, time.Now(), err); ok {
			t.Errorf("%v is taken for a reply", err)
		}
	}
}
