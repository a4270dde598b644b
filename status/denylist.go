package status

import "time"

// Denylist is what Health shows of a denylist, beside the findings about it.
type Denylist struct {
	Entries     int           // in force in this process
	Ready       bool          // a complete list has been read
	AsOf        time.Time     // everything acknowledged before is known; zero: nothing is
	Lag         time.Duration // how long ago that was
	Unconfirmed int           // revocations of this process that a failover could still lose
	Untaken     int           // those of them that no master has taken
	Dormant     bool          // nobody uses it: it is not shown
}

// SetDenylist lets Health show a denylist. It is called before the handlers are
// used.
func (s *Status) SetDenylist(f func() Denylist) { s.denylist = f }

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
