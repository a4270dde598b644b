package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
)

const year = 365 * 24 * time.Hour

func TestParseTTL(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want time.Duration
	}{
		{"60", time.Minute},
		{"060", time.Minute},
		{"60s", time.Minute},
		{"1h30m", 90 * time.Minute},
		{"1ms", time.Millisecond},
		{"1.5s", 1500 * time.Millisecond},
		{"8760h", year},
		{"31536000", year},
	} {
		if got, err := parseTTL(tc.in, year); err != nil || got != tc.want {
			t.Errorf("parseTTL(%q) = %v, %v; want %v", tc.in, got, err, tc.want)
		}
	}
	for in, want := range map[string]string{
		"": "whole seconds", "x": "whole seconds", "1.5": "whole seconds", "60 s": "whole seconds", "-": "whole seconds",
		"+60": "whole seconds", "0x10": "whole seconds", "1e3": "whole seconds", "1d": "whole seconds", "forever": "whole seconds",
		"0": "positive", "0s": "positive", "-1": "positive", "-1s": "positive", "-99999999999999999999": "positive",
		"1us": "at least 1ms", "1ns": "at least 1ms",
		"31536001": "at most", "8761h": "at most", "99999999999999999999": "at most", "9223372036854775807": "at most",
		"9999999h": "ttl must be at most 8760h0m0s", "99999999999h5m": "at most", "9999999.5h": "at most", "-9999999h": "whole seconds", "9999999x": "whole seconds", "9999999h1": "whole seconds",
	} {
		if got, err := parseTTL(in, year); err == nil || err.code != "bad_ttl" || !strings.Contains(err.message, want) {
			t.Errorf("parseTTL(%q) = %v, %v; want bad_ttl, %s", in, got, err, want)
		}
	}
}

func FuzzParseTTL(f *testing.F) {
	for _, s := range []string{"60", "60s", "-1", "9223372036854775807", "1h", "+", "1e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseTTL(s, year)
		if err == nil && (d < time.Millisecond || d > year) {
			t.Errorf("parseTTL(%q) = %v, which is out of bounds", s, d)
		}
	})
}

func TestParseMinDurability(t *testing.T) {
	for in, want := range map[string]evercache.Receipt{
		"memory":         {},
		"journaled":      {Durability: evercache.Journaled},
		"master":         {Durability: evercache.Master},
		"replicated":     replicatedTo(1),
		"replicated(1)":  replicatedTo(1),
		"replicated(99)": replicatedTo(99),
	} {
		if got, err := parseMinDurability(in); err != nil || got != want {
			t.Errorf("parseMinDurability(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "Master", "redis", "replicated()", "replicated(0)", "replicated(-1)", "replicated(+1)", "replicated(01)",
		"replicated(100)", "replicated(2", "replicated 2", "replicated(2)x", "master(1)", "replicated(1.5)",
	} {
		if got, err := parseMinDurability(in); err == nil || err.code != "bad_durability" {
			t.Errorf("parseMinDurability(%q) = %+v, %v; want bad_durability", in, got, err)
		}
	}
}

func FuzzParseMinDurability(f *testing.F) {
	for _, s := range []string{"memory", "replicated(3)", "replicated(", "replicated(99999999999)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseMinDurability(s)
		if err == nil && (r.Replicas < 0 || r.Replicas > mostReplicas || (r.Replicas > 0) != (r.Durability == evercache.Replicated)) {
			t.Errorf("parseMinDurability(%q) = %+v", s, r)
		}
	})
}

func TestQueryTakesOneKnownParameterOnce(t *testing.T) {
	for _, tc := range []struct {
		raw, value string
		given      bool
	}{
		{"", "", false},
		{"&", "", false},
		{"prefix=", "", true},
		{"prefix=a%2Fb", "a/b", true},
		{"prefix=a+b", "a b", true},
		{"prefix=a;x", "a;x", true},
		{"pre%66ix=a", "a", true},
		{"prefix=a=b", "a=b", true},
		{"prefix=%00%ff", "\x00\xff", true},
	} {
		if value, given, err := query(tc.raw, "prefix"); err != nil || value != tc.value || given != tc.given {
			t.Errorf("query(%q) = %q, %v, %v; want %q, %v", tc.raw, value, given, err, tc.value, tc.given)
		}
	}
	for _, raw := range []string{"prefix", "prefix=a&prefix=b", "Prefix=a", "prefix=%", "%=a", "prefix=a&x=1", "=a"} {
		if value, _, err := query(raw, "prefix"); err == nil || err.code != "bad_query" {
			t.Errorf("query(%q) = %q, %v; want bad_query", raw, value, err)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"ttl=60", "ttl", "ttl=1&ttl=2", "%", "a=b&ttl=%20"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		value, given, err := query(raw, "ttl")
		if err != nil && given || !given && value != "" {
			t.Errorf("query(%q) = %q, %v, %v", raw, value, given, err)
		}
	})
}
