package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache"
)

const collector = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"

func TestTracesAreExportedWhereACollectorIsNamed(t *testing.T) {
	for _, tc := range []struct {
		name    string
		environ []string
		want    *Traces
	}{
		{"none is", []string{"OTEL_SERVICE_NAME=shop", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_TRACES_SAMPLER=what"}, nil},
		{"switched off", []string{collector, "OTEL_SDK_DISABLED=TRUE", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, nil},
		{"no exporter", []string{collector, "OTEL_TRACES_EXPORTER=none"}, nil},
		{"defaults", []string{collector}, &Traces{
			URL: "http://collector:4318/v1/traces", Headers: map[string]evercache.Secret{}, Timeout: 10 * time.Second,
			Service: "evercache", Sampler: "parentbased_always_on", Ratio: 1,
		}},
		{"all", []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=https://other", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://c.example/in?x=1", "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%2Cb, X-Y = z",
			"OTEL_EXPORTER_OTLP_TIMEOUT=250", "OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=service.name=no,a.b=c%20d",
			"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25",
		}, &Traces{
			URL: "https://c.example/in?x=1", Headers: map[string]evercache.Secret{"Api-Key": "a,b", "X-Y": "z"}, Timeout: 250 * time.Millisecond,
			Service: "shop", Resource: []Pair{{"a.b", "c d"}}, Sampler: "traceidratio", Ratio: 0.25,
		}},
		{"a path below, and the name among the attributes", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:1/otlp/", "OTEL_RESOURCE_ATTRIBUTES=service.name=mine"}, &Traces{
			URL: "http://c:1/otlp/v1/traces", Headers: map[string]evercache.Secret{}, Timeout: 10 * time.Second,
			Service: "mine", Resource: []Pair{}, Sampler: "parentbased_always_on", Ratio: 1,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, accept(t, tc.environ...).Server.Traces); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsWrongWithTracesIsOneClearError(t *testing.T) {
	for _, tc := range []struct{ environ, want string }{
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT: this is no URL of a collector; write http://host:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://u:canary@c:99999", "OTEL_EXPORTER_OTLP_ENDPOINT: this is no URL"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=ftp://c", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: this is no URL"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_PROTOCOL: this protocol is not spoken here; write http/protobuf"},
		{"OTEL_EXPORTER_OTLP_HEADERS=canary", "OTEL_EXPORTER_OTLP_HEADERS: this is no list"},
		{"OTEL_EXPORTER_OTLP_HEADERS=a=canary%", "OTEL_EXPORTER_OTLP_HEADERS: this is no list"},
		{"OTEL_EXPORTER_OTLP_HEADERS=a b=canary", "OTEL_EXPORTER_OTLP_HEADERS: a header has a name or a value"},
		{"OTEL_EXPORTER_OTLP_HEADERS=a=canary%0d%0ax", "OTEL_EXPORTER_OTLP_HEADERS: a header has a name or a value"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT=10s", "OTEL_EXPORTER_OTLP_TIMEOUT: this is no possible number; give milliseconds"},
		{"OTEL_RESOURCE_ATTRIBUTES=" + strings.Repeat("a=b,", 65), "OTEL_RESOURCE_ATTRIBUTES: this is no list"},
		{"OTEL_SERVICE_NAME=" + strings.Repeat("a", 257), "OTEL_SERVICE_NAME: the name is too long"},
		{"OTEL_TRACES_SAMPLER=jaeger_remote", "OTEL_TRACES_SAMPLER: there is no such sampler here; write always_on"},
		{"OTEL_TRACES_EXPORTER=zipkin", "OTEL_TRACES_EXPORTER: there is no such exporter"},
	} {
		_, err := FromEnv([]string{collector, tc.environ})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.60s: %v, want %q", tc.environ, err, tc.want)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v shows what is secret", tc.environ, err)
		}
	}
	_, err := FromEnv([]string{collector, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=NaN"})
	if err == nil || !strings.Contains(err.Error(), "OTEL_TRACES_SAMPLER_ARG") {
		t.Errorf("NaN: %v", err)
	}
}

func TestTheHeadersOfTracesAreNeverShown(t *testing.T) {
	cfg := accept(t, collector, "OTEL_EXPORTER_OTLP_HEADERS=api-key=canary")
	for _, l := range cfg.Redacted() {
		if strings.Contains(l.Value, "canary") {
			t.Errorf("%s shows them: %s", l.Name, l.Value)
		}
	}
	if v := cfg.Server.Traces.Headers["Api-Key"]; v.Reveal() != "canary" || strings.Contains(v.String(), "canary") {
		t.Errorf("the header is %v", v)
	}
}

func FuzzTraces(f *testing.F) {
	f.Add("http://c:4318", "a=b,c=d%20", "0.5")
	f.Add("https://[::1]:1/x?y#z", "=,=,%%", "-1")
	f.Fuzz(func(t *testing.T, endpoint, pairs, arg string) {
		cfg, err := FromEnv([]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_EXPORTER_OTLP_HEADERS=" + pairs, "OTEL_RESOURCE_ATTRIBUTES=" + pairs,
			"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=" + arg,
		})
		if err != nil || cfg.Server.Traces == nil {
			return
		}
		tr := cfg.Server.Traces
		if !strings.HasPrefix(tr.URL, "http") || !(tr.Ratio >= 0 && tr.Ratio <= 1) || len(tr.Headers) > maxPairs {
			t.Errorf("%+v", tr)
		}
	})
}
