package health_test

import (
	"testing"

	"github.com/evercache/evercache/health"
)

func TestFindingsAreLoggedAtTheirLevel(t *testing.T) {
	for s, want := range map[health.Severity]string{health.SeverityError: "ERROR", health.SeverityWarning: "WARN", health.SeverityInfo: "INFO"} {
		if got := s.Level().String(); got != want {
			t.Errorf("%s is logged as %s, want %s", s, got, want)
		}
	}
}
