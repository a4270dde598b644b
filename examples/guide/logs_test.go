package guide_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
)

type requestIDKey struct{}

// docs/guide/logs.md
type withIDs struct{ slog.Handler }

func (h withIDs) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func Example_withIDs() {
	var lines bytes.Buffer
	logger := slog.New(withIDs{slog.NewTextHandler(&lines, nil)})
	logger.InfoContext(context.WithValue(context.Background(), requestIDKey{}, "42"), "loaded")
	fmt.Println(strings.Contains(lines.String(), "msg=loaded request_id=42"))
	// Output: true
}
