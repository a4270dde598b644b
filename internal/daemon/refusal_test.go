package daemon

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// unreadable are requests that net/http answers before a handler has them.
var unreadable = []struct {
	name, request string
	status        int
	code, says    string
}{
	{"a % alone", "PUT /v1/cache/c/%zz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nv", 400, "bad_request", "written as %25"},
	{"a % at the end", "GET /v1/cache/c/50% HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request", "written as %25"},
	{"a first line of two words", "GET /health\r\nHost: localhost\r\n\r\n", 400, "bad_request", "malformed"},
	{"a space in the path", "GET /v1/cache/c/a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request", "malformed"},
	{"no Host", "GET /health HTTP/1.1\r\n\r\n", 400, "bad_request", "missing required Host header"},
	{"two Hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request", "malformed"},
	{"a header without a name", "GET /health HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n", 400, "bad_request", "malformed"},
	{"a length that is none", "PUT /v1/cache/c/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n", 400, "bad_request", "malformed"},
	{"too long a header", "GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 2*maxHeaderBytes) + "\r\n\r\n", 431, "headers_too_large", "16384 bytes"},
	{"an encoding that is not known", "PUT /v1/cache/c/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "unsupported_encoding", "chunked"},
	{"another version", "GET /health HTTP/3.0\r\nHost: localhost\r\n\r\n", 505, "unsupported_version", "HTTP/1.1"},
	{"an expectation", "PUT /v1/cache/c/a HTTP/1.1\r\nHost: localhost\r\nExpect: wonders\r\nContent-Length: 1\r\n\r\nv", 417, "expectation_failed", "100-continue"},
}

func wantRefusal(t *testing.T, a answer, status int, code, says string) {
	t.Helper()
	var body errorBody
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Errorf("%d %q: %v", a.StatusCode, a.body, err)
		return
	}
	e := body.Error
	if a.StatusCode != status || e.Code != code || !strings.Contains(e.Message, says) {
		t.Errorf("%d %+v; want %d %s with %q", a.StatusCode, e, status, code, says)
	}
	if e.RequestID == "" || e.RequestID != a.Header.Get(requestIDHeader) || !a.Close {
		t.Errorf("request id %q, in the header %q, close %v", e.RequestID, a.Header.Get(requestIDHeader), a.Close)
	}
	if h := a.Header; h.Get("Content-Type") != "application/json" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("header = %v", h)
	}
}

func TestWhatIsNoRequestIsAnsweredWithAnErrorToo(t *testing.T) {
	s := serveAPI(t)
	for _, tt := range unreadable {
		t.Run(tt.name, func(t *testing.T) {
			first := dialRaw(t, s.Listener.Addr().String())
			first.send("%s", tt.request)
			wantRefusal(t, first.read("GET"), tt.status, tt.code, tt.says)

			later := dialRaw(t, s.Listener.Addr().String())
			later.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
			later.read("GET").wantsStatus(t, 200)
			later.send("%s", tt.request)
			wantRefusal(t, later.read("GET"), tt.status, tt.code, tt.says)
		})
	}
	if n := strings.Count(s.logs.String(), `"event":"request.refused"`); n != 2*len(unreadable) {
		t.Errorf("%d lines in the log, want %d", n, 2*len(unreadable))
	}
	if n := s.api.client.Stats().Sets; n != 0 {
		t.Errorf("%d values were stored", n)
	}
}

// A value may look like a refusal of net/http, wherever it is cut into writes.
func TestAValueThatLooksLikeARefusalComesBackAsItIs(t *testing.T) {
	s := serveAPI(t)
	const text = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
	for _, n := range []int{0, 1, 4096, 8192, 100_000} {
		value := strings.Repeat("x", n) + text
		s.do("PUT", fmt.Sprint("/v1/cache/demo/", n), value).wantsStatus(t, 204)
		if a := s.do("GET", fmt.Sprint("/v1/cache/demo/", n), ""); a.StatusCode != 200 || a.body != value {
			t.Errorf("after %d bytes: %d, %d bytes", n, a.StatusCode, len(a.body))
		}
	}
	value := strings.Repeat(text, 1000)
	s.do("PUT", "/v1/cache/demo/many", value).wantsStatus(t, 204)
	if a := s.do("GET", "/v1/cache/demo/many", ""); a.body != value {
		t.Errorf("many: %d bytes, want %d", len(a.body), len(value))
	}
}

func TestRefusalsGoThroughTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	r := runDaemon(t, "EVERCACHE_TLS_CERT_FILE="+certFile, "EVERCACHE_TLS_KEY_FILE="+keyFile)
	for _, tt := range unreadable {
		c := tls.Client(dialRaw(t, r.Addr().String()), &tls.Config{InsecureSkipVerify: true})
		over := &raw{c, t, bufio.NewReader(c)}
		over.send("%s", tt.request)
		wantRefusal(t, over.read("GET"), tt.status, tt.code, tt.says)
	}
	bare := dialRaw(t, r.Addr().String())
	bare.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
	wantRefusal(t, bare.read("GET"), http.StatusBadRequest, "bad_request", "use https")
	waitLogged(t, r.logs, "TLS handshake failed")
}

func FuzzRefusal(f *testing.F) {
	f.Add("HTTP/1.1 400 Bad Request: missing required Host header\r\nContent-Type: text/plain")
	f.Add("HTTP/1.1 431 Request Header Fields Too Large\r\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if e := refusal([]byte(text)); e.status < 400 || e.status > 599 || e.code == "" || e.message == "" {
			t.Errorf("%q: %+v", text, e)
		}
	})
}
