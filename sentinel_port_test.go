package evercache

import (
	"testing"

	"github.com/evercache/evercache/redistest"
)

// The port of a sentinel given as that of Redis is told as what it is.
func TestASentinelGivenAsRedisIsCalledASentinel(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	client := openAt(t, set.Addrs()[0])
	waitFinding(t, client, "redis-is-sentinel")
	if hasFinding(client.Health(), "redis-replica") {
		t.Errorf("%+v", client.Health().Findings)
	}
}
