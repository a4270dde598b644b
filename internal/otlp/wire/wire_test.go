// Package wire reads what internal/otlp sends by the types that collectors use. It is a module of its
// own: these bring gRPC.
package wire

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	pb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/evercache/evercache/internal/otlp"
)

func TestWhatTheBinarySendsIsWhatCollectorsRead(t *testing.T) {
	bodies := make(chan []byte, 1)
	c := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- b
	}))
	defer c.Close()
	tr := otlp.New(otlp.Config{
		URL: c.URL, Timeout: time.Second, Version: "1.2", Resource: []otlp.Attr{{Key: "service.name", Value: "shop"}},
		Sampler: otlp.Sampler{Parent: true, Ratio: 1}, Log: slog.New(slog.DiscardHandler),
	})
	above, ok := otlp.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if !ok {
		t.Fatal("no traceparent")
	}
	began := time.Now()
	ctx, server := tr.Start(t.Context(), "GET /x\xff", otlp.Server, above, otlp.Attr{Key: "http.response.status_code", Value: 503})
	_, client := otlp.Child(ctx, "GET", otlp.Client, otlp.Attr{Key: "yes", Value: true}, otlp.Attr{Key: "db.system.name", Value: "redis"})
	client.Fail()
	client.End()
	server.End()
	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tr.Shutdown(end)

	var got collector.ExportTraceServiceRequest
	if err := (proto.UnmarshalOptions{DiscardUnknown: false}).Unmarshal(<-bodies, &got); err != nil {
		t.Fatal(err)
	}
	rs := got.GetResourceSpans()[0]
	ss := rs.GetScopeSpans()[0]
	if rs.GetResource().GetAttributes()[0].GetValue().GetStringValue() != "shop" || ss.GetScope().GetVersion() != "1.2" || len(ss.GetSpans()) != 2 {
		t.Fatalf("%v", &got)
	}
	call, request := ss.GetSpans()[0], ss.GetSpans()[1]
	switch {
	case !bytes.Equal(request.GetTraceId(), above.Trace[:]), !bytes.Equal(request.GetParentSpanId(), above.Span[:]),
		request.GetName() != "GET /x\ufffd", request.GetKind() != pb.Span_SPAN_KIND_SERVER, request.GetStatus().GetCode() != pb.Status_STATUS_CODE_UNSET,
		request.GetAttributes()[0].GetValue().GetIntValue() != 503, request.GetFlags() != 0x301:
		t.Errorf("the request is %v", request)
	case !bytes.Equal(call.GetTraceId(), above.Trace[:]), !bytes.Equal(call.GetParentSpanId(), request.GetSpanId()), call.GetKind() != pb.Span_SPAN_KIND_CLIENT,
		call.GetStatus().GetCode() != pb.Status_STATUS_CODE_ERROR, !call.GetAttributes()[0].GetValue().GetBoolValue(), call.GetFlags() != 0x101:
		t.Errorf("the call is %v", call)
	}
	for _, s := range ss.GetSpans() {
		from, to := time.Unix(0, int64(s.GetStartTimeUnixNano())), time.Unix(0, int64(s.GetEndTimeUnixNano()))
		if from.Before(began.Add(-time.Second)) || to.Before(from) || to.After(time.Now().Add(time.Second)) || len(s.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("%s lasts from %v to %v", s.GetName(), from, to)
		}
	}
}
