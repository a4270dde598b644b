package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
)

// maxValueBytes bounds the value of a variable, and the file of a secret.
const maxValueBytes = 64 << 10

// reader holds one environment while it is turned into a Config.
type reader struct {
	env      map[string]string // our names that have a value
	injected []string          // names that Kubernetes put there
	files    files
	draft

	faults Faults
	bad    map[string]bool // settings without a usable value
	shown  map[string]Line // settings whose value was decided elsewhere

	findings     []health.Finding
	unused       []string // settings without effect, each with its reason
	openToOthers []string // files of secrets that everybody may read
}

// newReader keeps what is ours of an environment: white space around a value
// does not count, an empty value is not set.
func newReader(environ []string, f files) *reader {
	r := &reader{env: map[string]string{}, files: f, bad: map[string]bool{}, shown: map[string]Line{}}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		ours := strings.HasPrefix(name, "REDIS_") || strings.HasPrefix(name, "EVERCACHE_")
		if !ours && position(name) < 0 { // of OTEL_ there are many that others read
			continue
		}
		if value = strings.TrimSpace(value); value != "" {
			r.env[name] = value
		} else {
			delete(r.env, name)
		}
	}
	for name, value := range r.env {
		if injectedByKubernetes(name, value) {
			r.injected = append(r.injected, name)
			delete(r.env, name)
		}
	}
	slices.Sort(r.injected)
	return r
}

// parseAll runs the table. A default stays where the value is a fault, so that
// no fault is reported for its consequences.
func (r *reader) parseAll() {
	for _, s := range settings {
		if s.def != "" {
			s.parse(&r.draft, s.def)
		}
		value, set := r.env[s.name]
		switch {
		case len(value) > maxValueBytes:
			r.unusable(s.name, "the value is too long", fmt.Sprintf("give at most %d bytes", maxValueBytes))
		case set:
			r.report(s, value, s.parse(&r.draft, value))
		}
	}
}

func (r *reader) set(name string) bool { return r.env[name] != "" }

// setOf returns those of the names that are set.
func (r *reader) setOf(names ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !r.set(n) })
}

// anySet says whether a variable with that beginning is set, known or not.
func (r *reader) anySet(prefix string) bool {
	for name := range r.env {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// decidedBy records that a setting got its value from another variable.
func (r *reader) decidedBy(source, name, value string) {
	r.shown[name] = Line{Name: name, Value: value, Source: source}
}

func (r *reader) lines() []Line {
	out := make([]Line, 0, len(settings))
	for _, s := range settings {
		out = append(out, r.line(s))
	}
	return out
}

func (r *reader) line(s setting) Line {
	if l, ok := r.shown[s.name]; ok {
		return l
	}
	value, set := r.env[s.name]
	switch {
	case !set:
		return Line{Name: s.name, Value: s.def, Source: "default"}
	case s.secret:
		value = evercache.Secret(value).String()
	default:
		value = strings.Join(strings.Fields(value), " ")
	}
	return Line{Name: s.name, Value: value, Source: "env"}
}
