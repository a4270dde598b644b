package redistest

import (
	"testing"

	"github.com/evercache/evercache/internal/faultnet/loopback"
)

// FreePort is a TCP port of 127.0.0.1 on which nothing listens. Until the test ends no other caller
// of this package, in any process, is given it, and the kernel does not use it for an outgoing
// connection, so that connecting to it is refused for as long as the test leaves it alone.
func FreePort(tb testing.TB) int {
	tb.Helper()
	p, err := loopback.Reserve()
	must(tb, err)
	tb.Cleanup(func() {
		if err := p.Release(); err != nil {
			tb.Errorf("redistest: %v", err)
		}
	})
	return p.Number()
}
