package otlp

import (
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers are those of opentelemetry/proto/collector/trace/v1 and
// opentelemetry/proto/trace/v1, which never change.

// scope is who has made the spans.
const scope = "github.com/evercache/evercache"

// request is an ExportTraceServiceRequest with the spans of one resource.
func request(resource []Attr, version string, spans []*Span) []byte {
	var in []byte // ScopeSpans
	in = message(in, 1, text(text(nil, 1, scope), 2, version))
	for _, s := range spans {
		in = message(in, 2, s.encode())
	}
	of := message(nil, 1, attributes(nil, 1, resource)) // ResourceSpans
	return message(nil, 1, message(of, 2, in))
}

const (
	statusError = 2
	isRemote    = 0x100 // in flags: it is known whether the parent is of another process
	parentFar   = 0x200 // and it is
)

func (s *Span) encode() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := bytesField(nil, 1, s.trace[:])
	b = bytesField(b, 2, s.id[:])
	if s.parent != (SpanID{}) {
		b = bytesField(b, 4, s.parent[:])
	}
	b = text(b, 5, s.name)
	b = varint(b, 6, uint64(s.kind))
	b = moment(b, 7, s.start)
	b = moment(b, 8, s.end)
	b = attributes(b, 9, s.attrs)
	if s.failed {
		b = message(b, 15, varint(nil, 3, statusError))
	}
	flags := uint32(isRemote | 1)
	if s.kind == Server && s.parent != (SpanID{}) {
		flags |= parentFar
	}
	return protowire.AppendFixed32(protowire.AppendTag(b, 16, protowire.Fixed32Type), flags)
}

func attributes(b []byte, number protowire.Number, attrs []Attr) []byte {
	for _, a := range attrs {
		b = message(b, number, message(text(nil, 1, a.Key), 2, anyValue(a.Value)))
	}
	return b
}

// anyValue is an AnyValue. What is none of ours is left empty.
func anyValue(v any) []byte {
	switch v := v.(type) {
	case string:
		return text(nil, 1, v)
	case bool:
		return varint(nil, 2, protowire.EncodeBool(v))
	case int:
		return varint(nil, 3, uint64(v))
	}
	return nil
}

func message(b []byte, n protowire.Number, in []byte) []byte { return bytesField(b, n, in) }

func bytesField(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func text(b []byte, n protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), strings.ToValidUTF8(v, "\ufffd"))
}

func varint(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func moment(b []byte, n protowire.Number, t time.Time) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), uint64(t.UnixNano()))
}
