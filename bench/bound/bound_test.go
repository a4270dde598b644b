package main

import "testing"

func TestParseRefusesWhatMakesNoSense(t *testing.T) {
	if o, err := parse(nil); err != nil || o.bound != 32<<20 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-mib", "0"}, {"-mib", "5000"}, {"-sets", "0"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// A small bound is filled, and what is measured is of that size.
func TestAKindIsMeasured(t *testing.T) {
	k := of("[]byte, 1 KiB", flat, 2, bytesOf(1024))
	r, err := k.measure(t.Context(), options{bound: 4 << 20, sets: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	if r.entries < 2000 || r.entries > 4000 || r.ratio < 0.8 || r.ratio > 1.5 || r.weight > 4<<20 {
		t.Errorf("%+v", r)
	}
}
