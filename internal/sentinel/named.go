package sentinel

import (
	"slices"
	"time"
)

// namedAt is when a majority of the sentinels named our master: each of them was
// asked then or later. Zero: no majority does. One in TILT does not count.
func (m *Machine) namedAt() time.Time {
	var asked []time.Time
	for _, v := range m.votes() {
		if m.same(v.addr, m.cur.addr) && !v.by.tilt {
			asked = append(asked, v.by.sentAt)
		}
	}
	need := m.needed()
	if len(asked) < need {
		return time.Time{}
	}
	slices.SortFunc(asked, time.Time.Compare)
	return asked[len(asked)-need]
}
