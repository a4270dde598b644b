package evercache

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
)

func TestPolicyDefaults(t *testing.T) {
	options := Options{ReadTimeout: 7 * time.Millisecond, WriteTimeout: 8 * time.Millisecond}
	zero := Policy{
		TTL: time.Hour, L1TTL: 5 * time.Second, LoadTimeout: 5 * time.Second, LoadRetryAfter: 100 * time.Millisecond, OutageLoadRate: 100,
		ReadTimeout: 7 * time.Millisecond, WriteTimeout: 8 * time.Millisecond,
	}
	with := func(change func(*Policy)) Policy { p := zero; change(&p); return p }
	tests := []struct {
		name string
		in   Policy
		want Policy
	}{
		{"zero", Policy{}, zero},
		{"a TTL below the default L1TTL", Policy{TTL: time.Second}, with(func(p *Policy) { p.TTL, p.L1TTL = time.Second, time.Second })},
		{"what is given stays", Policy{
			TTL: time.Minute, Stale: 2, L1TTL: 3, NegativeTTL: 4, ReadTimeout: 5, WriteTimeout: 6, LoadTimeout: 7,
			LoadPatience: 11, LoadRetryAfter: 12, RefreshAhead: 0.5, MaxRefreshes: 13,
			OutageReads: ServeFresh, OutageWrites: RefuseWrites, OutageLoadRate: 8, Recovery: Invalidate, MaxEntries: 9, MaxBytes: 10,
		}, Policy{
			TTL: time.Minute, Stale: 2, L1TTL: 3, NegativeTTL: 4, ReadTimeout: 5, WriteTimeout: 6, LoadTimeout: 7,
			LoadPatience: 11, LoadRetryAfter: 12, RefreshAhead: 0.5, MaxRefreshes: 13,
			OutageReads: ServeFresh, OutageWrites: RefuseWrites, OutageLoadRate: 8, Recovery: Invalidate, MaxEntries: 9, MaxBytes: 10,
		}},
		{"Never from memory", Policy{L1TTL: Never}, with(func(p *Policy) { p.L1TTL = 0 })},
		{"Never stale, never an absence", Policy{Stale: Never, NegativeTTL: Never}, zero},
		{"stale values are served soon", Policy{Stale: time.Hour}, with(func(p *Policy) { p.Stale, p.LoadPatience = time.Hour, 100*time.Millisecond })},
		{"but not where the class waits", Policy{Stale: time.Hour, LoadPatience: Never}, with(func(p *Policy) { p.Stale = time.Hour })},
		{"no pause after a failure", Policy{LoadRetryAfter: Never}, with(func(p *Policy) { p.LoadRetryAfter = 0 })},
		{"refresh ahead", Policy{RefreshAhead: 0.8}, with(func(p *Policy) { p.RefreshAhead, p.MaxRefreshes = 0.8, 64 })},
		{"no loads", Policy{OutageLoadRate: NoLoads}, with(func(p *Policy) { p.OutageLoadRate = NoLoads })},
		{"unlimited loads", Policy{OutageLoadRate: UnlimitedLoads}, with(func(p *Policy) { p.OutageLoadRate = UnlimitedLoads })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.in.withDefaults(options)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPolicyFaults(t *testing.T) {
	tests := []struct {
		name string
		in   Policy
		want []string // each in the error; none: no error
	}{
		{"zero", Policy{}, nil},
		{"everything off", Policy{Stale: Never, L1TTL: Never, NegativeTTL: Never, OutageLoadRate: NoLoads}, nil},
		{"unlimited", Policy{OutageLoadRate: UnlimitedLoads}, nil},
		{"the longest", Policy{TTL: MaxTTL, Stale: MaxTTL, L1TTL: MaxTTL, NegativeTTL: MaxTTL}, nil},
		{"the shortest", Policy{TTL: time.Millisecond}, nil},
		{"memory as long as the TTL", Policy{TTL: time.Minute, L1TTL: time.Minute}, nil},

		{"TTL too short", Policy{TTL: time.Millisecond - 1}, []string{"TTL"}},
		{"TTL Never", Policy{TTL: Never}, []string{"TTL"}},
		{"TTL too long", Policy{TTL: MaxTTL + 1}, []string{"TTL"}},
		{"memory longer than the TTL", Policy{TTL: time.Minute, L1TTL: time.Minute + 1}, []string{"L1TTL"}},
		{"memory negative, and not Never", Policy{L1TTL: -2}, []string{"L1TTL"}},
		{"memory negative, and the TTL too", Policy{TTL: math.MinInt64, L1TTL: -2}, []string{"TTL", "L1TTL -2ns: want a positive duration, at most the TTL, or Never"}},
		{"a load that cannot answer", Policy{LoadTimeout: time.Millisecond - 1}, []string{"LoadTimeout"}},
		{"the shortest load", Policy{LoadTimeout: time.Millisecond, Stale: time.Hour}, nil},
		{"patience as long as a load", Policy{LoadPatience: time.Second, LoadTimeout: time.Second, Stale: time.Hour}, nil},
		{"more patience than a load takes", Policy{LoadPatience: time.Second + 1, LoadTimeout: time.Second, Stale: time.Hour}, []string{"LoadPatience"}},
		{"no patience for a load that cannot answer", Policy{LoadTimeout: Never, Stale: time.Hour}, []string{"LoadTimeout"}},
		{"stale negative", Policy{Stale: -time.Second}, []string{"Stale"}},
		{"stale too long", Policy{Stale: MaxTTL + 1}, []string{"Stale"}},
		{"absence negative", Policy{NegativeTTL: -time.Second}, []string{"NegativeTTL"}},
		{"absence too long", Policy{NegativeTTL: MaxTTL + 1}, []string{"NegativeTTL"}},
		{"timeouts cannot be off", Policy{ReadTimeout: Never, WriteTimeout: Never, LoadTimeout: Never}, []string{"ReadTimeout", "WriteTimeout", "LoadTimeout"}},
		{"fewer loads than none", Policy{OutageLoadRate: NoLoads - 1}, []string{"OutageLoadRate"}},
		{"words that there are not", Policy{OutageReads: RefuseReads + 1, OutageWrites: RefuseWrites + 1, Recovery: Invalidate + 1}, []string{"OutageReads", "OutageWrites", "Recovery"}},
		{"bounds below zero", Policy{MaxEntries: -1, MaxBytes: -1}, []string{"MaxEntries", "MaxBytes"}},
		{"two bounds", Policy{MaxEntries: 1, MaxBytes: 1}, []string{"give one"}},
		{"patience without anything stale", Policy{LoadPatience: time.Second}, []string{"LoadPatience"}},
		{"patience below zero", Policy{Stale: time.Hour, LoadPatience: -2}, []string{"LoadPatience"}},
		{"a pause that is too long", Policy{LoadRetryAfter: time.Hour}, []string{"LoadRetryAfter"}},
		{"a refresh at the end", Policy{RefreshAhead: 1}, []string{"RefreshAhead"}},
		{"a refresh at no time", Policy{RefreshAhead: math.NaN()}, []string{"RefreshAhead"}},
		{"refreshes below zero", Policy{RefreshAhead: 0.5, MaxRefreshes: -1}, []string{"MaxRefreshes"}},
		{"refreshes of nothing", Policy{MaxRefreshes: 1}, []string{"MaxRefreshes"}},
		{
			"all at once",
			Policy{TTL: -1, Stale: -2, L1TTL: -2, NegativeTTL: -2, ReadTimeout: -1, OutageLoadRate: -2, MaxBytes: math.MinInt64},
			[]string{"TTL", "Stale", "L1TTL", "NegativeTTL", "ReadTimeout", "OutageLoadRate", "MaxBytes"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.in.withDefaults(Options{}.withDefaults()).validate()
			if (err == nil) != (len(tt.want) == 0) {
				t.Fatalf("error = %v", err)
			}
			for _, name := range tt.want {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("%s is missing in: %v", name, err)
				}
			}
			if err != nil && len(strings.Split(err.Error(), "\n")) != len(tt.want) {
				t.Errorf("want a line for each of %v:\n%v", tt.want, err)
			}
		})
	}
}

func TestTheRateOfLoadsInAnOutage(t *testing.T) {
	tests := []struct {
		name  string
		rate  int
		burst int // that many at once
		limit rate.Limit
	}{
		{"none", NoLoads, 0, 0},
		{"ten a second", 10, 10, 10},
		{"unlimited", UnlimitedLoads, 1_000_000, rate.Inf},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := outageLimiter(tt.rate)
			if l.Limit() != tt.limit {
				t.Errorf("%v a second, want %v", l.Limit(), tt.limit)
			}
			now := time.Now()
			for range tt.burst {
				if !l.AllowN(now, 1) {
					t.Fatal("a load within the burst is refused")
				}
			}
			if tt.rate != UnlimitedLoads && l.AllowN(now, 1) {
				t.Error("a load over the burst is allowed")
			}
		})
	}
}

func TestWordsOfThePolicyHaveNames(t *testing.T) {
	for got, want := range map[string]string{
		ServeStale.String(): "serve-stale", ServeFresh.String(): "serve-fresh", RefuseReads.String(): "refuse",
		KeepWrites.String(): "keep", RefuseWrites.String(): "refuse", Restore.String(): "restore", Invalidate.String(): "invalidate",
		OutageReads(9).String(): "unknown(9)",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestABadNameHidesNoFaultOfThePolicy(t *testing.T) {
	type bad struct{ F func() }
	_, err := NewCache[bad](openMemory(t), "BAD NAME", Policy{TTL: -1, RefreshAhead: 7})
	for _, want := range []string{`class "BAD NAME": want`, "Policy.TTL", "Policy.RefreshAhead", "stored as JSON"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q in it", err, want)
		}
	}
	_, err = NewCache[string](openMemory(t), "", Policy{})
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a bad name alone: %v", err)
	}
}
