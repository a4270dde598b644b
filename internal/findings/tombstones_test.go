package findings

import (
	"testing"

	"github.com/evercache/evercache/stats"
)

func TestManyTombstonesAreTold(t *testing.T) {
	for _, tt := range []struct {
		name      string
		bytes     int64
		maxMemory uint64
		told      bool
	}{
		{"none", 0, 0, false},
		{"none, of a small server", 0, 50, false},
		{"without a maxmemory", tombsMost, 0, false},
		{"more, without one", tombsMost + 1, 0, true},
		{"a tenth", 100 << 20, 1000 << 20, false},
		{"more than a tenth", 101 << 20, 1000 << 20, true},
		{"much, and a small part", 2 << 30, 64 << 30, false},
		{"of a maxmemory without end", 2 << 30, 1<<64 - 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs := tombstones(stats.Tombstones{Live: 1, Bytes: tt.bytes}, tt.maxMemory)
			if told := len(fs) > 0; told != tt.told {
				t.Errorf("told %v, want %v", told, tt.told)
			}
			for _, f := range fs {
				wantWhole(t, f)
			}
		})
	}
}
