package remote

import "time"

// Many callers at once wait for each other: the last of a thousand questions is
// answered when the server has answered them all. That is no slowness of the server
// as long as it answers at a good pace, and somebody who asks on a connection of his
// own is answered much sooner: the heartbeat.

const (
	// goodPace is the time for each answer, at most.
	goodPace = 500 * time.Microsecond
	// beatGood is for how long a heartbeat tells of the server.
	beatGood = 2 * time.Second
)

// beaten is the last heartbeat that was answered.
type beaten struct {
	at   time.Time
	took time.Duration // less what was our own time, and the wait for replicas
}

// paced reports whether a call that took long, while so many were answered, has
// waited for other calls only.
func paced(took time.Duration, answers uint64, beat *beaten, now time.Time) bool {
	if beat == nil || now.Sub(beat.at) > beatGood || 2*beat.took > took {
		return false
	}
	return answers >= uint64(took/goodPace)
}
