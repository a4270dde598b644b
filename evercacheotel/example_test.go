package evercacheotel_test

import (
	"context"
	"fmt"
	"log/slog"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/evercacheotel"
)

func Example() {
	spans := tracetest.NewInMemoryExporter() // an application has an exporter of its own
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))

	client, err := evercache.Open(context.Background(), evercache.Options{
		MemoryOnly: true, // an application has a Redis
		Logger:     slog.New(slog.DiscardHandler),
		Tracer:     evercacheotel.NewTracer(evercacheotel.WithTracerProvider(provider)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	products, err := evercache.NewCache[string](client, "product", evercache.Policy{})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, request := provider.Tracer("shop").Start(context.Background(), "GET /product/42")
	_, _ = products.Get(ctx, "42", func(context.Context, string) (string, error) { return "a teapot", nil })
	_, _ = products.Get(ctx, "42", nil) // a hit in memory: no span
	request.End()

	for _, s := range spans.GetSpans() {
		fmt.Println(s.Name)
	}
	// Output:
	// load product
	// GET /product/42
}

// docs/guide/tracing.md
func ExampleNewTracer() {
	ctx := context.Background()
	client, err := evercache.Open(ctx, evercache.Options{
		Tracer: evercacheotel.NewTracer(), // the global provider; or WithTracerProvider(p)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
}
