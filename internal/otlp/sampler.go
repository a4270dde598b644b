package otlp

import (
	"encoding/binary"
	"math"
	"strings"
)

// Sampler says which traces are recorded, by the names of OTEL_TRACES_SAMPLER.
type Sampler struct {
	Parent bool    // what the caller has decided counts
	Ratio  float64 // the share of the traces that nobody has decided about, from 0 to 1
}

// SamplerOf is the sampler of a name; ratio is for those that have one.
func SamplerOf(name string, ratio float64) (s Sampler, ok bool) {
	switch name {
	case "always_on", "parentbased_always_on":
		s.Ratio = 1
	case "always_off", "parentbased_always_off":
	case "traceidratio", "parentbased_traceidratio":
		s.Ratio = ratio
	default:
		return Sampler{}, false
	}
	s.Parent = strings.HasPrefix(name, "parentbased_")
	return s, true
}

// samples decides about a trace. Every process that has the same ratio decides alike.
func (s Sampler) samples(p Parent) bool {
	switch {
	case s.Parent && p.Valid():
		return p.Sampled
	case s.Ratio >= 1:
		return true
	case s.Ratio <= 0:
		return false
	}
	return binary.BigEndian.Uint64(p.Trace[8:])>>1 < uint64(s.Ratio*math.MaxInt64)
}
