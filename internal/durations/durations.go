// Package durations reads durations that people write.
package durations

import (
	"math"
	"strings"
	"time"
)

// Parse is time.ParseDuration, but one that is only too long for Go is the longest
// there is. Whoever has a bound then refuses it as too long, and not as a text
// that makes no sense.
func Parse(s string) (d time.Duration, ok bool) {
	d, err := time.ParseDuration(s)
	if err != nil && tooLong(s) {
		return math.MaxInt64, true
	}
	return d, err == nil
}

// tooLong reports whether s is a positive duration with other digits.
func tooLong(s string) bool {
	digits := false
	small := strings.Map(func(r rune) rune {
		was := digits
		digits = r >= '0' && r <= '9'
		switch {
		case digits && was:
			return -1
		case digits:
			return '1'
		}
		return r
	}, s)
	d, err := time.ParseDuration(small)
	return err == nil && d > 0
}
