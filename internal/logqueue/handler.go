// Package logqueue keeps a log's sink away from those who log: a handler that
// blocks, fails or panics holds up nobody but itself.
package logqueue

import (
	"context"
	"log/slog"
	"time"
)

// Handler is a slog.Handler that never waits. It puts each record into a bounded
// queue; one goroutine, which is there only while records wait, hands them to the
// handler below in their order. What finds no room, and what the handler below
// answers with an error or a panic, is dropped and counted; when the sink works
// again one record says how many are missing.
type Handler struct {
	queue *queue
	below slog.Handler
	level slog.Leveler // nil: the handler below is asked, on the goroutine of the queue
}

// Most that waits, unless Bounds says otherwise.
const (
	defaultLines = 4096
	defaultBytes = 1 << 20
)

// Bounds are the most that waits; zero values mean 4096 records and 1 MiB.
type Bounds struct {
	Lines int
	Bytes int // as estimated from the texts of a record
}

// New returns a Handler above another one. With a level it decides by itself
// what is logged; without, it takes everything and asks below later, since even
// that question may block.
func New(below slog.Handler, level slog.Leveler, b Bounds) *Handler {
	if b.Lines <= 0 {
		b.Lines = defaultLines
	}
	if b.Bytes <= 0 {
		b.Bytes = defaultBytes
	}
	return &Handler{queue: &queue{bounds: b, origin: below}, below: below, level: level}
}

// Enabled never waits.
func (h *Handler) Enabled(_ context.Context, l slog.Level) bool {
	return h.level == nil || l >= h.level.Level()
}

// Handle never waits and has no error: what is dropped is counted.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	r, size := settled(r)
	h.queue.put(item{ctx: ctx, below: h.below, record: r, size: size, ask: h.level == nil})
	return nil
}

// WithAttrs and WithGroup share the queue.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.below = h.below.WithAttrs(attrs)
	return &c
}

// WithGroup: see WithAttrs.
func (h *Handler) WithGroup(name string) slog.Handler {
	c := *h
	c.below = h.below.WithGroup(name)
	return &c
}

// Flush waits until every record that was put before has been handed on, or for
// ctx, and reports whether they have.
func (h *Handler) Flush(ctx context.Context) bool { return h.queue.flush(ctx) }

// Dropped counts the records that are missing in the log.
func (h *Handler) Dropped() uint64 { return h.queue.dropped() }

// settled is a record that does not change any more, with an estimate of its
// size: what a value has to say is asked for here, and not when its owner may have
// gone on.
func settled(r slog.Record) (slog.Record, int) {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	size := len(r.Message) + lineCost
	r.Attrs(func(a slog.Attr) bool {
		a, n := settledAttr(a)
		size += n
		out.AddAttrs(a)
		return true
	})
	return out, size
}

// What a record and an attribute cost beside their texts.
const (
	lineCost = 128
	attrCost = 32
)

func settledAttr(a slog.Attr) (slog.Attr, int) {
	a.Value = a.Value.Resolve()
	size := len(a.Key) + attrCost
	switch a.Value.Kind() {
	case slog.KindString:
		size += len(a.Value.String())
	case slog.KindGroup:
		in := a.Value.Group()
		group := make([]slog.Attr, len(in))
		for i := range in {
			var n int
			group[i], n = settledAttr(in[i])
			size += n
		}
		a.Value = slog.GroupValue(group...)
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			size += errorSize(v)
		case []byte:
			size += len(v)
		}
	}
	return a, size
}

// errorSize survives an error that cannot say what it is.
func errorSize(err error) (n int) {
	defer func() { _ = recover() }()
	return len(err.Error())
}

// missing says how many records are not in the log.
func missing(n uint64, failed error) slog.Record {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "lines of this log are missing: nobody read it, or it could not be written", 0)
	r.AddAttrs(slog.String("event", "log.dropped"), slog.Uint64("lines", n))
	if failed != nil {
		r.AddAttrs(slog.String("error", failed.Error()))
	}
	return r
}
