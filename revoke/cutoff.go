package revoke

import (
	"math"
	"time"
)

// A cut-off is held as the last microsecond of the tokens that it refuses, counted
// from 1970. It covers all of the unit that it is given in, since whoever gives a
// whole second may have cut off a part: the whole second, else the whole
// millisecond, else a microsecond more than was given, since a fraction that has
// been a float is a little off.
const (
	perSecond  = 1_000_000
	lastMicro  = perSecond - 1
	mostCutoff = math.MaxUint32*perSecond + lastMicro
)

// cutoffAt is the cut-off for a moment; not ok: that is before 1970, or after what
// Redis can hold.
func cutoffAt(t time.Time) (cut uint64, ok bool) {
	sec, ns := t.Unix(), uint64(t.Nanosecond())
	if sec < 0 || sec > math.MaxUint32 {
		return 0, false
	}
	micro := ns / 1000
	switch {
	case ns == 0:
		micro = lastMicro
	case ns%1_000_000 == 0:
		micro += 999
	default:
		micro = min(micro+1, lastMicro)
	}
	return uint64(sec)*perSecond + micro, true
}

// wholeSecond is the cut-off of all tokens of that second and before.
func wholeSecond(sec uint32) uint64 { return uint64(sec)*perSecond + lastMicro }

// cutoffCovers reports whether a token that was issued at t is refused by a cut-off.
// now is the time by the fastest clock, skew what clocks may differ by. A time of
// issue that is ahead of that is none: milliseconds for seconds look so.
func cutoffCovers(cut uint64, t, now time.Time, skew time.Duration) bool {
	if t.Sub(now) > skew {
		return true
	}
	sec := t.Unix()
	if sec < 0 || sec > math.MaxUint32 { // the sum of a time with 1<<63 seconds wraps
		return true
	}
	return uint64(sec)*perSecond+uint64(t.Nanosecond())/1000 <= cut
}

// scoreUnits are the parts of a second in a score: a power of two, so that a float
// holds them exactly beside the seconds until 2106.
const scoreUnits = 1 << 21

// subjectScore puts the part of a second of a cut-off below the expiry: the score
// is an integer for a whole second, and else between the second before the expiry
// and the expiry. Who knows of no parts rounds it up, and refuses the whole second.
func subjectScore(exp uint32, cut uint64) float64 {
	part := cut % perSecond
	if part == lastMicro {
		return float64(exp)
	}
	return float64(exp) - 1 + float64(part+1)/scoreUnits
}

// readSubjectScore is the reverse. sec is the second of the cut-off. What is not
// ours is the whole second.
func readSubjectScore(score float64, sec uint32) (exp uint32, cut uint64) {
	exp = uint32(min(math.Ceil(score), math.MaxUint32))
	whole, part := math.Modf(score)
	units := math.Ceil(part * scoreUnits)
	if units == 0 || units > lastMicro || whole >= math.MaxUint32 {
		return exp, wholeSecond(sec)
	}
	return exp, uint64(sec)*perSecond + uint64(units) - 1
}
