package survey

import (
	"fmt"
	"slices"
)

// Outdated is a sentinel that last saw a replica as a master. A master that comes back says that it is one until a
// sentinel tells it to follow; the other sentinels ask it again within ten seconds. One of them that sees it as a master
// then takes it for one that is still to be told, and makes a replica of it: a failover that has just promoted it is
// undone.
type Outdated struct{ Sentinel, Replica string }

func (o Outdated) String() string {
	return fmt.Sprintf("sentinel %s last saw the replica %s as a master, and would undo its promotion; it asks it again within ten seconds: try again then", o.Sentinel, o.Replica)
}

// Outdated lists such sentinels, one for each replica.
func (s *Survey) Outdated() (all []Outdated) {
	for _, w := range s.Sentinels {
		if !w.Monitors() {
			continue
		}
		for _, f := range w.Replicas {
			known := slices.ContainsFunc(all, func(o Outdated) bool { return o.Replica == f.Addr() })
			if f["role-reported"] == "master" && !f.Flag("s_down") && !known {
				all = append(all, Outdated{Sentinel: w.Addr, Replica: f.Addr()})
			}
		}
	}
	return all
}
