package daemon

import (
	"net/http"
	"strings"
	"testing"
)

const someTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

func TestRequestIDComesFromTheCallerInThisOrder(t *testing.T) {
	for _, tc := range []struct {
		name, traceparent, requestID, want string // want "" is a new one
	}{
		{"traceparent first", "00-" + someTrace + "-00f067aa0ba902b7-01", "mine", someTrace},
		{"a later version with more fields", "01-" + someTrace + "-00f067aa0ba902b7-01-what-the-future-holds", "mine", someTrace},
		{"request id", "", "Job_7.retry-2", "Job_7.retry-2"},
		{"longest request id", "", strings.Repeat("a", 128), strings.Repeat("a", 128)},
		{"neither", "", "", ""},
		{"too long", "", strings.Repeat("a", 129), ""},
		{"with a line end", "", "a\nlevel=ERROR", ""},
		{"with a space", "", "a b", ""},
		{"not ASCII", "", "ü", ""},
		{"version 00 with more fields", "00-" + someTrace + "-00f067aa0ba902b7-01-x", "mine", "mine"},
		{"forbidden version", "ff-" + someTrace + "-00f067aa0ba902b7-01", "mine", "mine"},
		{"zero trace id", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01", "mine", "mine"},
		{"zero parent id", "00-" + someTrace + "-0000000000000000-01", "mine", "mine"},
		{"upper case", "00-" + strings.ToUpper(someTrace) + "-00f067aa0ba902b7-01", "mine", "mine"},
		{"cut off", "00-" + someTrace, "mine", "mine"},
	} {
		h := http.Header{}
		h.Set("traceparent", tc.traceparent)
		h.Set("X-Request-ID", tc.requestID)
		got := requestID(h)
		if tc.want == "" {
			if got == tc.requestID || !validRequestID(got) || got == requestID(h) {
				t.Errorf("%s: %q is not a new id", tc.name, got)
			}
		} else if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestACorrelationIDIsTakenLikeARequestID(t *testing.T) {
	for _, tc := range []struct{ traceparent, requestID, correlation, want string }{
		{"", "", "theirs", "theirs"},
		{"", "mine", "theirs", "mine"},
		{"", "not harmless", "theirs", "theirs"},
		{"00-" + someTrace + "-00f067aa0ba902b7-01", "", "theirs", someTrace},
	} {
		h := http.Header{}
		h.Set("traceparent", tc.traceparent)
		h.Set("X-Request-ID", tc.requestID)
		h.Set("X-Correlation-ID", tc.correlation)
		if got := requestID(h); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
	h := http.Header{}
	h.Set("X-Correlation-ID", "a\nb")
	if got := requestID(h); !validRequestID(got) {
		t.Errorf("%q is not harmless", got)
	}
}

func FuzzRequestID(f *testing.F) {
	f.Add("00-"+someTrace+"-00f067aa0ba902b7-01", "x")
	f.Add("", "a\r\nb")
	f.Add("----", "")
	f.Fuzz(func(t *testing.T, traceparent, id string) {
		h := http.Header{"Traceparent": {traceparent}, "X-Request-Id": {id}}
		if got := requestID(h); !validRequestID(got) {
			t.Errorf("requestID(%q, %q) = %q, which is not harmless", traceparent, id, got)
		}
	})
}
