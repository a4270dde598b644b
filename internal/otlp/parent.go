package otlp

import (
	"encoding/hex"
	"strings"
)

// Parent is a span as another process names it.
type Parent struct {
	Trace   TraceID
	Span    SpanID
	Sampled bool // whoever made it records it
}

// Valid reports whether there is one.
func (p Parent) Valid() bool { return p.Trace != TraceID{} && p.Span != SpanID{} }

// ParseTraceparent reads a W3C traceparent, version-traceid-parentid-flags. Later versions
// may append fields.
func ParseTraceparent(text string) (p Parent, ok bool) {
	f := strings.SplitN(text, "-", 5)
	if len(f) < 4 || len(f) > 4 && f[0] == "00" || f[0] == "ff" {
		return Parent{}, false
	}
	sizes := [...]int{2, 32, 16, 2}
	for i, size := range sizes {
		if len(f[i]) != size || strings.Trim(f[i], "0123456789abcdef") != "" {
			return Parent{}, false
		}
	}
	var flags [1]byte
	for _, part := range []struct {
		to   []byte
		text string
	}{{p.Trace[:], f[1]}, {p.Span[:], f[2]}, {flags[:], f[3]}} {
		if _, err := hex.Decode(part.to, []byte(part.text)); err != nil {
			return Parent{}, false
		}
	}
	p.Sampled = flags[0]&1 != 0
	return p, p.Valid()
}
