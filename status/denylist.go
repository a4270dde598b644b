package status

import (
	"time"

	"github.com/evercache/evercache/stats"
)

// SetDenylist lets Health show a denylist, which it asks of f (List.Stats of
// package revoke). It is called before the handlers are used.
func (s *Status) SetDenylist(f func() stats.Denylist) { s.denylist = f }

type denylist struct {
	Entries     int        `json:"entries"`
	Ready       bool       `json:"ready"`
	AsOf        *time.Time `json:"asOf"`
	LagMS       *int64     `json:"lagMs"`
	Unconfirmed int        `json:"unconfirmed"`
	Untaken     int        `json:"untaken"`
}

// newDenylist is nil where there is none.
func (s *Status) newDenylist() *denylist {
	if s.denylist == nil {
		return nil
	}
	d := s.denylist()
	if d.Dormant {
		return nil
	}
	return &denylist{
		Entries: d.Entries, Ready: d.Ready,
		AsOf:        unless(d.AsOf.IsZero(), d.AsOf.UTC()),
		LagMS:       unless(d.AsOf.IsZero(), d.Lag.Milliseconds()),
		Unconfirmed: d.Unconfirmed, Untaken: d.Untaken,
	}
}
