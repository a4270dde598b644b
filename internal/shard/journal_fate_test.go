package shard

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

func TestTheFateOfWhatAnEarlierProcessWrote(t *testing.T) {
	t.Parallel()
	const old = remote.TombstoneLife + time.Second
	for _, tt := range []struct {
		name         string
		held, number uint64
		age          time.Duration
		want         fate
	}{
		{"the master has it", 9, 7, time.Second, watchOver},
		{"the master has it, long ago", 9, 7, old, watchOver},
		{"the master has an older state", 3, 7, time.Second, sendAgain},
		{"the master has an older state, long ago", 3, 7, old, sendAgain},
		{"nobody knows", 0, 7, time.Second, sendAgain},
		{"nobody knows, long ago", 0, 7, old, letGo},
		{"it waited when its process ended, long ago", 0, 25, old, sendAgain},
		{"it waited, and a later master vouches", 40, 25, old, sendAgain},
	} {
		if got := fateOf(tt.held, []Gap{{20, 30}}, tt.number, tt.age); got != tt.want {
			t.Errorf("%s: fate %d, want %d", tt.name, got, tt.want)
		}
	}
}
