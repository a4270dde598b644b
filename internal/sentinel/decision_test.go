package sentinel

import "testing"

func TestAStageSaysWhatMayBeDoneWithTheMaster(t *testing.T) {
	for _, tt := range []struct {
		stage               Stage
		provisional, nobody bool
		writes, confirms    bool
	}{
		{Clear, false, false, true, true},
		{Clear, true, false, true, false},
		{Suspect, false, false, true, false},
		{Suspect, true, false, true, false},
		{Fenced, false, false, false, false},
		{Degraded, false, false, false, false},
		{Clear, true, true, false, false},
	} {
		d := Decision{Stage: tt.stage, Confirmed: !tt.provisional, Master: Addr{Host: "10.0.0.1", Port: 6379}}
		if tt.nobody {
			d.Master = Addr{}
		}
		if d.Writes() != tt.writes || d.BarriersConfirm() != tt.confirms {
			t.Errorf("%+v: writes %v, barriers confirm %v", tt, d.Writes(), d.BarriersConfirm())
		}
	}
}
