package daemon

import (
	"crypto/rand"
	"net/http"

	"github.com/evercache/evercache/internal/otlp"
)

const requestIDHeader = "X-Request-Id"

// requestID names a request in answers, errors and logs: the trace id of a
// traceparent, else the caller's X-Request-ID or X-Correlation-ID, else a new one. What a caller
// sends is taken only in a harmless form, since it ends up in logs.
func requestID(h http.Header) string {
	if id, ok := traceID(h.Get("Traceparent")); ok {
		return id
	}
	for _, name := range []string{requestIDHeader, "X-Correlation-Id"} {
		if id := h.Get(name); validRequestID(id) {
			return id
		}
	}
	return rand.Text()
}

// traceID takes the trace id out of a W3C traceparent.
func traceID(parent string) (string, bool) {
	p, ok := otlp.ParseTraceparent(parent)
	return p.Trace.String(), ok
}

const mostRequestID = 128

func validRequestID(id string) bool {
	if id == "" || len(id) > mostRequestID {
		return false
	}
	for _, c := range []byte(id) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
