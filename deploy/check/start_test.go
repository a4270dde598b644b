package check

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// In Kubernetes all pods start at the same time, and compose.yml does not make the
// sentinels wait. So nobody may rely on an order.
func TestASetStartsInAnyOrder(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"sentinels first": "sentinel", "replicas first": "redis"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSet(t, nil)
			order := append(append([]*node(nil), s.sentinels...), s.redis...)
			if first == "redis" {
				order = []*node{s.redis[2], s.redis[1], s.sentinels[0], s.sentinels[1], s.redis[0], s.sentinels[2]}
			}
			for i, n := range order {
				n.start()
				if i == 2 { // three of them wait for the others
					n.awaitLog("no node says that it is the master")
				}
			}
			for _, n := range s.nodes() {
				n.awaitHealthy()
			}
			if now := s.awaitMaster(nil); now != s.redis[0] {
				t.Errorf("%s is the master, want the first node", now.port)
			}
		})
	}
}

// Sentinels that have all lost their volumes find the master that there is, not the one
// that was first.
func TestSentinelsThatLostTheirVolumesFindTheMaster(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	s.start()
	first := s.awaitMaster(nil)
	first.kill()
	now := s.awaitMaster(first)
	first.start()
	first.awaitHealthy()
	s.awaitMaster(nil) // it has been told that it is none: of two masters no sentinel would choose one
	for _, n := range s.sentinels {
		n.kill()
		n.lose()
	}
	for _, n := range s.sentinels {
		n.start()
	}
	for _, n := range s.sentinels {
		n.awaitHealthy()
	}
	if again := s.awaitMaster(nil); again != now {
		t.Errorf("%s is the master, want %s", again.port, now.port)
	}
}

// Two masters without sentinels: one of them is not to be followed, and nobody here
// knows which.
func TestASentinelDoesNotChooseBetweenTwoMasters(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	for _, n := range s.redis[:2] {
		n.start()
	}
	s.redis[0].awaitHealthy()
	s.redis[1].awaitHealthy()
	s.redis[1].must("REPLICAOF", "NO", "ONE")
	s.sentinels[0].start()
	s.sentinels[0].awaitLog("more than one node says that it is the master")
}

func (n *node) awaitLog(want string) {
	n.set.t.Helper()
	eventually(n.set.t, 30*time.Second, want, func() error {
		if log := n.log.String(); !strings.Contains(log, want) {
			return fmt.Errorf("its log:\n%s", tail(log))
		}
		return nil
	})
}
