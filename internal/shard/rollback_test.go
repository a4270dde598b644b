package shard

import (
	"testing"

	"github.com/evercache/evercache/internal/remote"
)

func TestARollbackIsToldFromAFailoverAndAReconnect(t *testing.T) {
	last := answered{N: 9, node: &remote.Node{Addr: "n1:6379"}}
	for _, tt := range []struct {
		name      string
		addr      string
		last      answered
		holds     uint64
		restarted bool
		want      bool
	}{
		{"an older barrier", "n1:6379", last, 8, false, true},
		{"the same barrier", "n1:6379", last, 9, false, false},
		{"a barrier whose answer was lost", "n1:6379", last, 10, true, false},
		{"a failover", "n2:6379", last, 8, true, false},
		{"the key is gone after a restart", "n1:6379", last, 0, true, true},
		{"the key is gone without one", "n1:6379", last, 0, false, false},
		{"nothing was answered yet", "n1:6379", answered{}, 0, true, false},
	} {
		if got := rolledBack(tt.addr, tt.last, tt.holds, tt.restarted); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
