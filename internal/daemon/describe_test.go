package daemon

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/evercache/evercache"
)

// Every answer says how long it is, whoever counts it; and that of a hit has no more
// headers than a small map holds.
func TestAnAnswerSaysHowLongItIs(t *testing.T) {
	for _, n := range []int{0, 1, netHTTPCounts - 1, netHTTPCounts, netHTTPCounts + 1, 3 * smallBytes} {
		entries := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()[requestIDHeader] = []string{"id"}
			e := evercache.Entry[[]byte]{Value: make([]byte, n), Source: evercache.SourceMemory, Fresh: true, Age: 90 * time.Second}
			describe(w.Header(), &e, r.Method == http.MethodHead)
			entries = len(w.Header())
			w.WriteHeader(http.StatusOK)
			writeBody(w, e.Value)
		}))
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			h := answer.Header
			if h.Get("Content-Length") != strconv.Itoa(n) || len(answer.TransferEncoding) > 0 {
				t.Errorf("%s of %d bytes: length %q, encoding %v", method, n, h.Get("Content-Length"), answer.TransferEncoding)
			}
			if h.Get("Evercache-Source") != "memory" || h.Get("Evercache-Fresh") != "true" || h.Get("Evercache-Coherent") != "false" || h.Get("Age") != "90" {
				t.Errorf("%s of %d bytes: %v", method, n, h)
			}
			if method == http.MethodGet && n <= netHTTPCounts && entries > 8 {
				t.Errorf("%d headers of a small value", entries)
			}
		}
		server.Close()
	}
}
