package survey

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/sentinel"
)

// Fields are the fields of an answer, by name.
type Fields map[string]string

const (
	maxFields = 512 // of one answer
	maxValue  = 256 // bytes of a field
	maxList   = 64  // entries of a list
)

// Int is a field as a number; not ok: it is missing, or no number.
func (f Fields) Int(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(f[name], 10, 64)
	return n, err == nil
}

// Millis is a field that counts milliseconds.
func (f Fields) Millis(name string) (d time.Duration, ok bool) {
	n, ok := f.Int(name)
	if !ok || n < 0 || n > int64(1<<40) {
		return 0, false
	}
	return time.Duration(n) * time.Millisecond, true
}

// Flag reports whether the list of flags has one.
func (f Fields) Flag(name string) bool {
	return slices.Contains(strings.Split(f["flags"], ","), name)
}

// Addr is host:port of an entry of a sentinel, or "" where that cannot be dialled.
func (f Fields) Addr() string { return address(f["ip"], f["port"]) }

// address is host:port in one spelling; "": it cannot be dialled.
func address(host, port string) string {
	a, err := sentinel.ParseAddr(host, port)
	if err != nil {
		return ""
	}
	return a.String()
}

// set keeps a field within the bounds.
func (f Fields) set(name, value string) {
	if len(f) < maxFields || f[name] != "" {
		f[censor.Text(name, maxValue)] = censor.Text(value, maxValue)
	}
}

// parseFields reads a flat list of names and values, or a map.
func parseFields(v any) Fields {
	f := Fields{}
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			f.set(name, word(x))
		}
	case []any:
		for i := 0; i+1 < len(v); i += 2 {
			f.set(word(v[i]), word(v[i+1]))
		}
	}
	return f
}

// parseList reads a list of such answers.
func parseList(v any) []Fields {
	list, _ := v.([]any)
	out := make([]Fields, 0, min(len(list), maxList))
	for _, e := range list[:min(len(list), maxList)] {
		if f := parseFields(e); len(f) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// word is one value as text; "" for what is none.
func word(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// parseInfo reads INFO and CLUSTER INFO, all sections in one.
func parseInfo(text string) Fields {
	f := Fields{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if ok && name != "" && !strings.HasPrefix(name, "#") {
			f.set(name, value)
		}
	}
	return f
}
