package main

import "testing"

func TestParseRefusesWhatMakesNoSense(t *testing.T) {
	if o, err := parse(nil); err != nil || o.keys != 1_000_000 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-keys", "1"}, {"-reads", "0"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// What decides for memory is told of enough of its hits: it keeps what is read often.
func TestMemoryKeepsWhatIsReadOften(t *testing.T) {
	o := options{keys: 100_000, reads: 300_000, seed: 1}
	l := law{"Zipf 0.99", 0.99, 0}
	ours, err := o.ofEvercache(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if otters := o.ofOtter(l); ours < otters-2 || ours < 50 {
		t.Errorf("%.2f %% are hits, of otter alone %.2f", ours, otters)
	}
}
