package remote

import (
	"testing"
	"time"
)

// Only what was stored is taken back, and only as it was stored.
func TestOnlyWhatWasStoredIsTakenBack(t *testing.T) {
	b := startBed(t)
	for name, tt := range map[string]struct {
		scene
		ends int64 // later than what was stored between lo and hi
		gone bool
	}{
		"as it was stored":    {scene: scene{value: "v"}, gone: true},
		"another value":       {scene: scene{value: "w"}},
		"the same, older":     {scene: scene{value: "v"}, ends: -1},
		"the same, newer":     {scene: scene{value: "v"}, ends: hi - lo + 1},
		"the same, for ever":  {scene: scene{value: "v", endless: true}},
		"something of a type": {scene: scene{value: "hash"}},
		"nothing":             {},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.fresh(t)
			tt.written = lo + tt.ends
			tt.prepare(b, Replay{Key: b.key, Cond: b.cond()})
			before := ask(b.T, b.p, "EXISTS", b.key)
			err := b.n.TakeBack(t.Context(), Pair{Key: b.key, Data: []byte("v"), TTL: time.Hour}, b.now+lo, b.now+hi, long)
			if err != nil {
				t.Fatal(err)
			}
			want := before
			if tt.gone {
				want = int64(0)
			}
			if got := ask(b.T, b.p, "EXISTS", b.key); got != want {
				t.Errorf("EXISTS is %v, want %v", got, want)
			}
		})
	}
}
