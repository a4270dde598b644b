package survey

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPingsAreSortedOut(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for n := range 100 {
		hundred = append(hundred, time.Duration(100-n)*time.Millisecond)
	}
	for _, tt := range []struct {
		took []time.Duration
		want Pings
	}{
		{nil, Pings{}},
		{[]time.Duration{7}, Pings{1, 7, 7}},
		{[]time.Duration{9, 7}, Pings{2, 7, 9}},
		{hundred, Pings{100, 50 * time.Millisecond, 99 * time.Millisecond}},
	} {
		if got := pingsOf(tt.took); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.took, got, tt.want)
		}
	}
}

func TestTheAbsentNameIsBesideThoseOfTheNodes(t *testing.T) {
	t.Parallel()
	for addrs, domain := range map[string]string{
		"": "", "10.0.0.1:6379 [::1]:6379": "", "localhost:6379 nonsense": "",
		"10.0.0.1:6379 redis-1.redis.svc.cluster.local:6379": ".redis.svc.cluster.local", "redis-1.shop.:6379": ".shop",
	} {
		got := absentName(strings.Fields(addrs))
		if domain == "" && got != "" || domain != "" && (!strings.HasPrefix(got, "evercache-doctor-") || !strings.HasSuffix(got, domain)) {
			t.Errorf("%s: %q", addrs, got)
		}
	}
	if got := absentName([]string{"redis-1:6379"}); !strings.HasPrefix(got, "evercache-doctor-") || strings.Contains(got, ".") {
		t.Errorf("a name without a domain: %q", got)
	}
}

func TestALookupIsTimedAndBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		dns  time.Duration
		want Lookup
	}{
		{"at once", 0, Lookup{Took: 0, Done: true}},
		{"slowly", 1200 * time.Millisecond, Lookup{Took: 1200 * time.Millisecond, Done: true}},
		{"never", time.Hour, Lookup{Took: lookupFor}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := look{ctx: t.Context(), s: &Survey{Sentinels: []Sentinel{{Named: "redis-1.shop:6379"}}}}
				l.resolve = func(ctx context.Context, _ string) ([]string, error) {
					select {
					case <-time.After(tt.dns):
						return nil, errors.New("no such host")
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}
				got := l.lookupAbsent()
				if got == nil || got.Took != tt.want.Took || got.Done != tt.want.Done {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
			})
		})
	}
	if got := (&look{s: &Survey{Sentinels: []Sentinel{{Named: "10.0.0.1:6379"}}}}).lookupAbsent(); got != nil {
		t.Errorf("nobody is named by a name: %+v", got)
	}
}
