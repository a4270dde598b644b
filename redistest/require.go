package redistest

import (
	"errors"
	"os"
	"testing"

	"github.com/evercache/evercache/internal/redisproc"
)

// requireEnv set to 1 makes a missing program a failure.
const requireEnv = "EVERCACHE_TEST_REQUIRE_REDIS"

// need skips or fails the test when there is no program of these kinds.
func need(tb testing.TB, kinds ...redisproc.Kind) {
	tb.Helper()
	var errs []error
	for _, k := range kinds {
		errs = append(errs, redisproc.Available(k))
	}
	err := errors.Join(errs...)
	switch {
	case err == nil:
	case os.Getenv(requireEnv) == "1":
		tb.Fatalf("redistest: %v (%s=1 forbids to skip)", err, requireEnv)
	default:
		tb.Skipf("redistest: %v; install redis-server to run this test", err)
	}
}

// must ends the test when something could not be done.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
}

// tailBytes of a log are shown for each server of a failed test.
const tailBytes = 4 << 10

func showLog(tb testing.TB, s *Server) {
	tb.Helper()
	text := s.Log()
	if cut := len(text) - tailBytes; cut > 0 {
		text = "…" + text[cut:]
	}
	tb.Logf("redistest: the log of %s ends:\n%s", s.Addr(), text)
}
