package config

// traceSettings are OpenTelemetry's own, by its names. They are weighed in traces.go, and
// only where traces are exported: a machine may have them set for all its programs.
var traceSettings = []setting{
	{
		name: "OTEL_EXPORTER_OTLP_ENDPOINT", group: "Traces", unset: "no traces", example: "http://collector:4318",
		meaning: "Where an OpenTelemetry collector takes OTLP over HTTP: spans go to `/v1/traces` below it ([tracing](guide/tracing.md)).",
		parse:   to(func(d *draft) *string { return &d.traces.endpoint }, text),
	},
	{
		name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", group: "Traces", unset: "`/v1/traces` below `OTEL_EXPORTER_OTLP_ENDPOINT`", example: "http://collector:4318/v1/traces",
		meaning: "The whole URL for spans; it wins.",
		parse:   to(func(d *draft) *string { return &d.traces.tracesEndpoint }, text),
	},
	{
		name: "OTEL_EXPORTER_OTLP_HEADERS", group: "Traces", unset: "none", example: "api-key=a-long-random-word", secret: true,
		meaning: "Headers of each request to the collector, `name=value` with commas between; values are percent-encoded.",
		parse:   to(func(d *draft) *string { return &d.traces.headers }, text),
	},
	{
		name: "OTEL_EXPORTER_OTLP_PROTOCOL", group: "Traces", def: "http/protobuf", example: "http/protobuf",
		meaning: "`http/protobuf`; no other is spoken here.",
		parse:   to(func(d *draft) *string { return &d.traces.protocol }, text),
	},
	{
		name: "OTEL_EXPORTER_OTLP_TIMEOUT", group: "Traces", def: "10000", example: "3000",
		meaning: "How long a request to the collector may take, in milliseconds; 1 to 60000.",
		parse:   to(func(d *draft) *string { return &d.traces.timeout }, text),
	},
	{
		name: "OTEL_SERVICE_NAME", group: "Traces", def: "evercache", example: "cache",
		meaning: "The `service.name` of the spans; at most 256 bytes.",
		parse:   to(func(d *draft) *string { return &d.traces.service }, text),
	},
	{
		name: "OTEL_RESOURCE_ATTRIBUTES", group: "Traces", unset: "none", example: "deployment.environment.name=prod,service.namespace=shop",
		meaning: "Further attributes of the process, `name=value` with commas between; values are percent-encoded; at most 64.",
		parse:   to(func(d *draft) *string { return &d.traces.resource }, text),
	},
	{
		name: "OTEL_TRACES_SAMPLER", group: "Traces", def: "parentbased_always_on", example: "parentbased_traceidratio",
		meaning: "Which traces are exported: `always_on`, `always_off`, `traceidratio`, or these after `parentbased_`: then what the `traceparent` of a request says counts first.",
		parse:   to(func(d *draft) *string { return &d.traces.sampler }, text),
	},
	{
		name: "OTEL_TRACES_SAMPLER_ARG", group: "Traces", def: "1", example: "0.05",
		meaning: "The share of the traces for a sampler with `traceidratio`; 0 to 1.",
		parse:   to(func(d *draft) *string { return &d.traces.samplerArg }, text),
	},
	{
		name: "OTEL_TRACES_EXPORTER", group: "Traces", def: "otlp", example: "none",
		meaning: "`none`: no traces.",
		parse:   to(func(d *draft) *string { return &d.traces.exporter }, text),
	},
	{
		name: "OTEL_SDK_DISABLED", group: "Traces", def: "false", example: "true",
		meaning: "`true`: no traces.",
		parse:   to(func(d *draft) *string { return &d.traces.disabled }, text),
	},
}
