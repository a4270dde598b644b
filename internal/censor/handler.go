package censor

import (
	"context"
	"log/slog"
)

// Handler hands lines on to h with what others may have said in them made fit to be
// shown: every error, and the attributes that quote one. Whoever logs need not think
// of it.
func Handler(h slog.Handler) slog.Handler { return handler{h} }

type handler struct{ to slog.Handler }

// maxAttr bounds an attribute that quotes others, in bytes.
const maxAttr = 2 << 10

func (h handler) Enabled(ctx context.Context, l slog.Level) bool { return h.to.Enabled(ctx, l) }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(attr(a))
		return true
	})
	return h.to.Handle(ctx, out)
}

func (h handler) WithAttrs(as []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(as))
	for i, a := range as {
		out[i] = attr(a)
	}
	return handler{h.to.WithAttrs(out)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.to.WithGroup(name)} }

// quotes are the keys of texts that may be others'. A stack or a dump is ours, and long.
var quotes = map[string]bool{"error": true, "detail": true, "reason": true, "cause": true}

func attr(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); {
	case v.Kind() == slog.KindString && quotes[a.Key]:
		return slog.String(a.Key, Text(v.String(), maxAttr))
	case v.Kind() == slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return slog.String(a.Key, Text(err.Error(), maxAttr))
		}
	}
	return a
}
