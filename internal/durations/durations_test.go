package durations

import (
	"math"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"1ms":                      time.Millisecond,
		"1h30m":                    90 * time.Minute,
		"-5s":                      -5 * time.Second,
		"0":                        0,
		"9999999h":                 math.MaxInt64,
		"99999999999999999999h5m":  math.MaxInt64,
		"99999999999999999999.5ns": math.MaxInt64,
	} {
		if got, ok := Parse(s); got != want || !ok {
			t.Errorf("%q: %v, %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "5", "h", "-9999999h", "99999999999999999999", "9999999x", "1h 5m", "NaNs"} {
		if got, ok := Parse(s); ok {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1ms", "9999999h", "-9999999h", "1h30m", "5", "٣s", "1.5h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := Parse(s)
		if want, err := time.ParseDuration(s); err == nil && (got != want || !ok) {
			t.Errorf("%q: %v, %v; Go reads %v", s, got, ok, want)
		} else if err != nil && ok && got != math.MaxInt64 {
			t.Errorf("%q: %v, and Go says %v", s, got, err)
		}
	})
}
