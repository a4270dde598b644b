package status_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
	"github.com/evercache/evercache/status"
)

type noSource struct{}

func (noSource) Health() health.Report { return health.Report{} }
func (noSource) Stats() stats.Snapshot { return stats.Snapshot{} }

func TestHealthShowsTheDenylist(t *testing.T) {
	ask := func(d *stats.Denylist) string {
		s := status.New(noSource{})
		if d != nil {
			s.SetDenylist(func() stats.Denylist { return *d })
		}
		w := httptest.NewRecorder()
		s.Health().ServeHTTP(w, httptest.NewRequest("GET", "/health", nil))
		return w.Body.String()
	}
	if got := ask(nil); strings.Contains(got, "revocations") {
		t.Errorf("without one: %s", got)
	}
	if got := ask(&stats.Denylist{Dormant: true}); strings.Contains(got, "revocations") {
		t.Errorf("one that nobody uses: %s", got)
	}
	for want, d := range map[string]stats.Denylist{
		`"revocations":{"entries":0,"ready":false,"asOf":null,"lagMs":null,"unconfirmed":0,"untaken":0}`:                  {},
		`"revocations":{"entries":3,"ready":true,"asOf":"1970-01-01T00:00:09Z","lagMs":1500,"unconfirmed":2,"untaken":1}`: {Entries: 3, Ready: true, AsOf: time.Unix(9, 0), Lag: 1500 * time.Millisecond, Unconfirmed: 2, Untaken: 1},
	} {
		if got := ask(&d); !strings.Contains(got, want) {
			t.Errorf("%s\nis not in\n%s", want, got)
		}
	}
}
