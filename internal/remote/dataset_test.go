package remote

import "testing"

func TestADatasetIsKnownByItsLastBarrierAndItsMarker(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		was, now dataset
		want     fate
	}{
		{"no barrier yet", dataset{0, "a"}, dataset{0, "b"}, same},
		{"the last barrier is there", dataset{7, "a"}, dataset{7, "a"}, same},
		{"one that was not answered, too", dataset{7, "a"}, dataset{8, "a"}, same},
		{"the marker is gone alone", dataset{7, "a"}, dataset{7, ""}, same},
		{"the barrier is gone alone", dataset{7, "a"}, dataset{0, "a"}, same},
		{"an earlier barrier", dataset{7, "a"}, dataset{5, "a"}, older},
		{"both are gone", dataset{7, "a"}, dataset{0, ""}, another},
		{"another marker", dataset{7, "a"}, dataset{0, "b"}, another},
		{"no barrier, and the marker is not known", dataset{7, ""}, dataset{0, ""}, another},
	} {
		if got := tt.was.became(tt.now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
