package testbed

import (
	"os"
	"testing"

	"github.com/evercache/evercache/internal/redisproc"
)

// NeedRedis skips the test where there is no redis-server, and fails it where
// EVERCACHE_TEST_REQUIRE_REDIS=1 says that there must be one.
func NeedRedis(t *testing.T) {
	t.Helper()
	err := redisproc.Available(redisproc.Server)
	switch {
	case err == nil:
	case os.Getenv("EVERCACHE_TEST_REQUIRE_REDIS") == "1":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}
