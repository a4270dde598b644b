package main

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/evercache/evercache/config"
)

// inGroup is a machine whose control group has a limit, or "max".
func inGroup(limit string) fstest.MapFS {
	return fstest.MapFS{
		"proc/self/cgroup":         {Data: []byte("0::/\n")},
		"proc/self/mountinfo":      {Data: []byte("30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n")},
		"sys/fs/cgroup/memory.max": {Data: []byte(limit + "\n")},
	}
}

func TestMemoryKeepsToTheLimitOfTheGroup(t *testing.T) {
	for _, tt := range []struct {
		name          string
		group         string
		chosen        int64 // GOMEMLIMIT
		runtime, most int64
		values        int64 // what cached values get
	}{
		{"a sidecar", "67108864", 0, 52 << 20, 64 << 20, 16 << 20},
		{"no limit", "max", 0, math.MaxInt64, 0, 32 << 20},
		{"GOMEMLIMIT is set", "67108864", 40 << 20, 40 << 20, 40 << 20, 10 << 20},
		{"GOMEMLIMIT is more than the limit", "67108864", 1 << 30, 1 << 30, 64 << 20, 16 << 20},
		{"GOMEMLIMIT alone", "max", 64 << 20, 64 << 20, 64 << 20, 16 << 20},
		{"GOMEMLIMIT is off", "67108864", math.MaxInt64, math.MaxInt64, 64 << 20, 16 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var environ []string
			was := debug.SetMemoryLimit(math.MaxInt64)
			t.Cleanup(func() { debug.SetMemoryLimit(was) })
			if tt.chosen > 0 { // as the runtime reads it before main
				debug.SetMemoryLimit(tt.chosen)
				environ = []string{"GOMEMLIMIT=set"}
			}
			most := limitMemory(environ, inGroup(tt.group)).most()
			if got := debug.SetMemoryLimit(-1); got != tt.runtime || most != tt.most {
				t.Errorf("the runtime keeps to %d, settings to %d; want %d and %d", got, most, tt.runtime, tt.most)
			}
			cfg, err := config.FromEnv(nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Within(most).Redis.MemoryBytes; got != tt.values {
				t.Errorf("values get %d, want %d", got, tt.values)
			}
		})
	}
}

func TestAnEmptyGOMEMLIMITIsNotSet(t *testing.T) {
	if setsMemoryLimit([]string{"GOMEMLIMIT=", "XGOMEMLIMIT=1"}) || !setsMemoryLimit([]string{"A=b", "GOMEMLIMIT=off"}) {
		t.Error("wrong")
	}
}
