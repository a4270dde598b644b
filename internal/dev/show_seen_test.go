package dev

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAllIsWellIsSaidOfTheNextMasterToo: a planned failover of a Cluster may be over between
// two looks, so that no trouble is seen.
func TestAllIsWellIsSaidOfTheNextMasterToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &run{now: wellCluster(), out: &printer{texts: make(chan string, maxTexts)}, kick: make(chan struct{}, 1)}
		after := with(wellCluster(), func(s *Snapshot) {
			s.Nodes[0].Master, s.Nodes[0].Of, s.Nodes[0].LinkUp, s.Nodes[0].Slots = false, s.Nodes[3].Name, true, 0
			s.Nodes[3].Master, s.Nodes[3].Of, s.Nodes[3].LinkUp, s.Nodes[3].Slots = true, "", false, 5461
		})
		for range 3 {
			r.seen(after)
			time.Sleep(settle)
			r.seen(after)
			time.Sleep(time.Millisecond)
		}
		close(r.out.texts)
		var said strings.Builder
		for text := range r.out.texts {
			said.WriteString(text)
		}
		if n := strings.Count(said.String(), "all is well: masters redis-2, redis-3, redis-4"); n != 1 {
			t.Errorf("it is said %d times:\n%s", n, said.String())
		}
	})
}
