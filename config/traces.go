package config

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache"
)

// Traces says where spans are exported to.
type Traces struct {
	URL      string // of the collector
	Headers  map[string]evercache.Secret
	Timeout  time.Duration
	Service  string
	Resource []Pair // further attributes of the process, in the order in which they were given
	// Sampler is one of OpenTelemetry's names; Ratio is for those with traceidratio.
	Sampler string
	Ratio   float64
}

// Pair is a name with its value.
type Pair struct{ Name, Value string }

// traceDraft holds the values as they were given.
type traceDraft struct {
	endpoint, tracesEndpoint, headers, protocol, timeout       string
	service, resource, sampler, samplerArg, exporter, disabled string
}

// samplers are the names that OTEL_TRACES_SAMPLER may have here.
var samplers = []string{
	"always_on", "always_off", "traceidratio",
	"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
}

const (
	maxPairs = 64      // of headers, and of attributes
	maxName  = 256     // bytes of a name or of OTEL_SERVICE_NAME
	maxPair  = 8 << 10 // bytes of a value
)

// traces is nil where no traces are exported. Nothing that is wrong with the other
// settings counts then.
func (r *reader) traces() *Traces {
	d := r.draft.traces
	if d.endpoint == "" && d.tracesEndpoint == "" || strings.EqualFold(d.exporter, "none") || strings.EqualFold(d.disabled, "true") {
		return nil
	}
	const off = "; or set OTEL_TRACES_EXPORTER=none"
	if !strings.EqualFold(d.exporter, "otlp") {
		r.fault("OTEL_TRACES_EXPORTER", "there is no such exporter here", "write otlp or none")
	}
	if !strings.EqualFold(d.protocol, "http/protobuf") {
		r.fault("OTEL_EXPORTER_OTLP_PROTOCOL", "this protocol is not spoken here",
			"write http/protobuf, and the collector's port for HTTP (4318) in OTEL_EXPORTER_OTLP_ENDPOINT"+off)
	}
	t := &Traces{
		URL: r.tracesURL(d), Headers: r.traceHeaders(d.headers), Timeout: r.traceTimeout(d.timeout),
		Service: d.service, Resource: r.pairs("OTEL_RESOURCE_ATTRIBUTES", d.resource),
		Sampler: strings.ToLower(d.sampler), Ratio: r.traceRatio(d),
	}
	if len(d.service) > maxName {
		r.fault("OTEL_SERVICE_NAME", "the name is too long", "give at most 256 bytes")
	}
	for _, p := range t.Resource {
		if p.Name == "service.name" && !r.set("OTEL_SERVICE_NAME") {
			t.Service = p.Value
		}
	}
	t.Resource = slices.DeleteFunc(t.Resource, func(p Pair) bool { return p.Name == "service.name" })
	if !slices.Contains(samplers, t.Sampler) {
		r.fault("OTEL_TRACES_SAMPLER", "there is no such sampler here", "write "+strings.Join(samplers, ", "))
	}
	return t
}

// tracesURL shows nothing of what it reads: it may hold a password.
func (r *reader) tracesURL(d traceDraft) string {
	name, value := "OTEL_EXPORTER_OTLP_ENDPOINT", d.endpoint
	if d.tracesEndpoint != "" {
		name, value = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", d.tracesEndpoint
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" || badPort(u.Port()) {
		r.fault(name, "this is no URL of a collector", "write http://host:4318 or https://host:4318")
		return ""
	}
	if d.tracesEndpoint == "" {
		u = u.JoinPath("v1", "traces")
	}
	return u.String()
}

func badPort(p string) bool {
	n, err := strconv.Atoi(p)
	return p != "" && (err != nil || n < 1 || n > 65535)
}

func (r *reader) traceTimeout(v string) time.Duration {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 60000 {
		r.fault("OTEL_EXPORTER_OTLP_TIMEOUT", "this is no possible number", "give milliseconds from 1 to 60000")
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

func (r *reader) traceRatio(d traceDraft) float64 {
	if !strings.HasSuffix(strings.ToLower(d.sampler), "traceidratio") {
		return 1 // the others have none
	}
	ratio, err := strconv.ParseFloat(d.samplerArg, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		r.fault("OTEL_TRACES_SAMPLER_ARG", "this is no share", "give a number from 0 to 1")
		return 1
	}
	return ratio
}

func (r *reader) traceHeaders(v string) map[string]evercache.Secret {
	const name = "OTEL_EXPORTER_OTLP_HEADERS"
	headers := map[string]evercache.Secret{}
	for _, p := range r.pairs(name, v) {
		if !token(p.Name) || !headerValue(p.Value) {
			r.fault(name, "a header has a name or a value that no header can have", "write name=value, with commas between and values percent-encoded")
			return nil
		}
		headers[http.CanonicalHeaderKey(p.Name)] = evercache.Secret(p.Value)
	}
	return headers
}

// pairs reads name=value,name=value. Of what it reads it shows nothing.
func (r *reader) pairs(name, v string) (ps []Pair) {
	for one := range strings.SplitSeq(v, ",") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		k, value, ok := strings.Cut(one, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		p := Pair{strings.TrimSpace(k), value}
		if !ok || err != nil || p.Name == "" || len(p.Name) > maxName || len(value) > maxPair || len(ps) == maxPairs {
			r.fault(name, "this is no list of at most 64 names with values", "write name=value, with commas between and values percent-encoded")
			return nil
		}
		ps = append(ps, p)
	}
	return ps
}

// token: RFC 9110, 5.6.2.
func token(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool { return !asciiAlnum(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", c) }) < 0
}

func headerValue(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) < 0
}
