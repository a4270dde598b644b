package status

import (
	"time"

	"github.com/evercache/evercache/health"
)

// feed is what the announcements of others' changes are worth.
type feed struct {
	On       bool    `json:"on"`
	Cause    *string `json:"cause"`    // why the master announces nothing
	Coherent bool    `json:"coherent"` // covered entries may be called so now
	Idle     bool    `json:"idle,omitempty"`
	// LeaseMs is how long ago the last proof was that nothing is missed; null
	// when there is none.
	LeaseMs   *int64 `json:"leaseMs"`
	Epoch     uint64 `json:"epoch"`
	Announced uint64 `json:"announced"`
	Silences  uint64 `json:"silences"`
}

func newFeed(h health.Feed) feed {
	return feed{
		On: h.On, Cause: cause(h.Cause), Coherent: h.Coherent, Idle: h.Idle,
		LeaseMs: unless(h.Lease < 0, h.Lease.Milliseconds()),
		Epoch:   h.Epoch, Announced: h.Announced, Silences: h.Silences,
	}
}

// recovery is what is kept of writes that the master has taken, and what became
// of them when a master came back with less.
type recovery struct {
	Unconfirmed              int     `json:"unconfirmed"`
	UnconfirmedBytes         int64   `json:"unconfirmedBytes"`
	UnconfirmedOldestSeconds float64 `json:"unconfirmedOldestSeconds"`
	Ring                     int     `json:"ring"`
	RingBytes                int64   `json:"ringBytes"`
	Uncovered                uint64  `json:"uncovered"`
	Superseded               uint64  `json:"superseded"`
	Invalidated              uint64  `json:"invalidated"`
	Evicted                  uint64  `json:"evicted"`
	DroppedValues            uint64  `json:"droppedValues"`
	DroppedKeys              uint64  `json:"droppedKeys"`
	DatasetResets            uint64  `json:"datasetResets"`
}

func newRecovery(h health.Recovery) recovery {
	return recovery{
		Unconfirmed: h.Unconfirmed, UnconfirmedBytes: h.UnconfirmedBytes,
		UnconfirmedOldestSeconds: h.UnconfirmedOldest.Round(time.Millisecond).Seconds(),
		Ring:                     h.Ring, RingBytes: h.RingBytes,
		Uncovered: h.Uncovered, Superseded: h.Superseded, Invalidated: h.Invalidated, Evicted: h.Evicted,
		DroppedValues: h.DroppedValues, DroppedKeys: h.DroppedKeys, DatasetResets: h.DatasetResets,
	}
}
