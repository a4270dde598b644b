package evercache

import (
	"testing"

	"github.com/evercache/evercache/internal/testbed"
)

func TestMain(m *testing.M) { testbed.Main(m, 2) }

// Short names for what the tests of all layers share.
var (
	startRedis  = testbed.Redis
	startProxy  = testbed.Proxy
	redisDo     = testbed.Do
	kill        = testbed.Kill
	restart     = testbed.Restart
	resume      = testbed.Resume
	wantStored  = testbed.WantStored
	waitInRedis = testbed.WaitStored

	waitUntil    = testbed.Until
	connect      = testbed.Connect
	hasFinding   = testbed.HasFinding
	waitFinding  = testbed.WaitFinding
	waitKept     = testbed.WaitSent
	times        = testbed.Recoveries
	nothingWaits = testbed.NothingWaits
	returned     = testbed.Recovered

	lateness = testbed.Lateness
	attempts = testbed.Attempts
)
