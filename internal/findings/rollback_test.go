package findings

import (
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
)

func TestARollbackIsReportedForAnHour(t *testing.T) {
	r := health.Recovery{Superseded: 12, Invalidated: 4, Evicted: 3}
	b := &Rollback{At: now, Addr: "redis:6379", Writes: 7, Skipped: 10, Deleted: 4}
	fs := rollback(b, r, now.Add(59*time.Minute))
	if len(fs) != 1 {
		t.Fatalf("findings: %v", fs)
	}
	wantWhole(t, fs[0])
	for _, want := range []string{"redis:6379", "sent 7 again", "newer write: 2.", "not known: 3."} {
		if !strings.Contains(fs[0].Detail, want) {
			t.Errorf("%q is missing in: %s", want, fs[0].Detail)
		}
	}
	if fs := rollback(b, r, now.Add(time.Hour)); fs != nil {
		t.Errorf("after an hour: %v", fs)
	}
	if fs := rollback(nil, r, now); fs != nil {
		t.Errorf("without one: %v", fs)
	}
}
