package cluster_test

import (
	"cmp"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// revocationsSurviveTheirShard: it is killed, its slot moves, and its server is
// emptied. What was acknowledged is refused by its own process throughout, and by the
// other one as far as that says that it knows.
func revocationsSurviveTheirShard(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		var lists []*revoke.List
		var first *evercache.Client
		for range 2 {
			client := open(t, c)
			first = cmp.Or(first, client)
			l, err := revoke.New(client, revoke.Policy{AckTimeout: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			lists = append(lists, l)
		}
		begin, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := revoke.Init(begin, first, revoke.Policy{})
		for err != nil && begin.Err() == nil { // a busy machine delays one question or another
			_, err = revoke.Init(begin, first, revoke.Policy{})
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lists {
			if err := l.WaitReady(begin); err != nil {
				t.Fatal(err)
			}
		}
		var revoked []string
		var at []time.Time // when they were acknowledged
		check := func(when string) {
			t.Helper()
			for n, id := range revoked {
				for i, l := range lists {
					if v := l.Check(revoke.Token{ID: id}); v.Allowed() && (i == n%2 || v.AsOf.After(at[n])) {
						t.Fatalf("%s: process %d lets %s in: %+v; it was revoked at %v", when, i, id, v, at[n])
					}
				}
			}
		}
		more := func(when string) {
			t.Helper()
			for range 5 {
				id := fmt.Sprint("token", len(revoked))
				if r, err := lists[len(revoked)%2].Revoke(t.Context(), id, time.Now().Add(time.Hour)); err != nil {
					t.Fatalf("%s: %+v, %v", when, r, err)
				}
				revoked, at = append(revoked, id), append(at, time.Now())
				time.Sleep(20 * time.Millisecond)
				check(when)
			}
		}
		more("at first")
		slot := redistest.Slot("~r:{tokens}:set")
		victim := c.MasterOfSlot(slot)
		victim.Kill()
		more("its shard is killed")
		c.WaitMaster(slot, victim, patience)
		more("its shard has another master")

		from := c.MasterOfSlot(slot)
		to := c.Masters()[0]
		if to == from {
			to = c.Masters()[1]
		}
		c.Reshard(from, to, redistest.OneSlot(slot))
		more("its slot has moved")

		to.Do("FLUSHALL")
		check("its server is emptied")
		more("its server was emptied")
		for _, l := range lists {
			ok := func() bool {
				for _, id := range revoked {
					if v := l.Check(revoke.Token{ID: id}); v.Status != revoke.Revoked {
						return false
					}
				}
				return true
			}
			for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("not all are known to be revoked: %+v", l.Stats())
				}
			}
		}
	})
}
