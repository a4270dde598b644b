package daemon

import (
	"fmt"
	"net/http"
)

const indexText = `GET    /v1/cache/{class}/{key}            the value
PUT    /v1/cache/{class}/{key}?ttl=60s    store the body as the value
DELETE /v1/cache/{class}/{key}            forget the key
DELETE /v1/cache/{class}?prefix=p         forget the keys that begin with p

POST   /v1/revocations                    refuse a token, or all of a subject (JSON)
POST   /v1/revocations/check              is it revoked? (JSON)

POST   /v1/inspect                        does memory hold what Redis holds? (JSON)

GET    /           the status page, in a browser
GET    /health     what works and what does not (JSON; ?strict=1: 503 while degraded)
GET    /livez      200 while the process lives
GET    /readyz     503 while it starts or drains
GET    /metrics    for Prometheus
`

// index is a page for people who ask what this is.
func (a *api) index(w http.ResponseWriter, _ *request) *apiError {
	h := a.client.Health()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = fmt.Fprintf(w, "evercache, %v mode, %v\n\n%s", h.Mode, h.State, indexText)
	return nil
}
