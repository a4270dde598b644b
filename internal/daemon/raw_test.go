package daemon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw is a connection on which a test writes what no HTTP client would.
type raw struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dialRaw(t *testing.T, addr string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &raw{c, t, bufio.NewReader(c)}
}

func (c *raw) send(format string, a ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, a...); err != nil {
		c.t.Fatal(err)
	}
}

// read reads one response to a request with this method.
func (c *raw) read(method string) answer {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{resp, string(b)}
}

func (s *service) raw() *raw {
	s.t.Helper()
	return dialRaw(s.t, s.Listener.Addr().String())
}

// rawly sends a request line with a path that is not touched by anybody.
func (s *service) rawly(method, path, body string) answer {
	s.t.Helper()
	c := s.raw()
	c.send("%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	return c.read(method)
}

// http.ServeMux would answer the paths below with a redirect to another key.
func TestNoPathIsEverRedirected(t *testing.T) {
	s := serveAPI(t)
	for path, want := range map[string]string{
		"/v1/cache/demo/a//x":       "bad_key",
		"/v1/cache/demo//":          "bad_key",
		"/v1/cache/demo//a":         "bad_key",
		"/v1/cache/demo/a/":         "bad_key",
		"/v1/cache/demo/":           "bad_key",
		"/v1/cache/demo/../x":       "bad_key",
		"/v1/cache/demo/a%zz":       "bad_request",
		"/v1/cache//a":              "bad_class",
		"/v1/cache/../a":            "bad_class",
		"/v1/cache/De/a":            "bad_class",
		"/v1/cache/de%2Fmo/a":       "bad_class",
		"//v1/cache/demo/a":         "no_such_path",
		"/v1//cache/demo/a":         "no_such_path",
		"/./v1/cache/demo/a":        "no_such_path",
		"/v1/../v1/cache/demo/a":    "no_such_path",
		"/v1/cache":                 "no_such_path",
		"/V1/cache/demo/a":          "no_such_path",
		"/%761/cache/demo/a":        "no_such_path",
		"/health/":                  "no_such_path",
		"*":                         "no_such_path",
		"http://localhost/v1/cache": "no_such_path",
	} {
		method := "PUT"
		if path == "*" {
			method = "OPTIONS"
		}
		a := s.rawly(method, path, "v")
		if a.StatusCode/100 != 4 || a.Header.Get("Location") != "" || a.code() != want {
			t.Errorf("%s %s = %d %q, want 4xx with code %q", method, path, a.StatusCode, a.body, want)
		}
	}
	if n := s.api.client.Stats().Sets; n != 0 {
		t.Errorf("%d of them were stored", n)
	}
}

func TestAKeyIsEveryByteOfOneSegment(t *testing.T) {
	s := serveAPI(t)
	keys := []string{
		"..", ".", "%2E%2E", "a%2Fb", "a%2F%2Fb", "%00", "%FF", "%20", "a+b", "a%2Bb", "%25", "%252F", "a:b", ";", "a;b=c",
		"%C3%BC", "~b:x", "a%2Fb\"", "a|b{}^`", strings.Repeat("%61", 1024), "%3Fttl=0", "%23", "-", "v1", "*", "%2A",
	}
	for i, k := range keys {
		s.rawly("PUT", "/v1/cache/demo/"+k, fmt.Sprint(i)).wantsStatus(t, 204)
	}
	same := map[string]string{"..": "%2E%2E", "%2E%2E": "..", "*": "%2A", "%2A": "*", "a+b": "a%2Bb", "a%2Bb": "a+b"} // two ways to write one key
	for i, k := range keys {
		a := s.rawly("GET", "/v1/cache/demo/"+k, "")
		if a.wantsStatus(t, 200); a.body != fmt.Sprint(i) && same[k] == "" {
			t.Errorf("GET %.40s = %q, want %d", k, a.body, i)
		}
	}
	if n, want := s.api.client.Stats().L1Entries, len(keys)-len(same)/2; n != want {
		t.Errorf("%d keys are stored, want %d", n, want)
	}
	s.rawly("GET", "/v1/cache/d%65mo/a%2fb", "").wantsStatus(t, 200) // the class is checked after decoding
	s.rawly("PUT", "/v1/cache/demo/"+strings.Repeat("a", 1025), "v").wants(t, 400, "bad_key")
}

func TestABodyThatIsTooLargeStoresNothing(t *testing.T) {
	s := serveAPI(t, "EVERCACHE_MAX_BODY=1MiB")
	s.do("PUT", "/v1/cache/demo/fits", strings.Repeat("x", 1<<20)).wantsStatus(t, 204)
	if a := s.do("GET", "/v1/cache/demo/fits", ""); len(a.body) != 1<<20 {
		t.Errorf("%d bytes came back", len(a.body))
	}
	s.do("PUT", "/v1/cache/demo/large", strings.Repeat("x", 2<<20)).wants(t, 413, "body_too_large")

	c := s.raw() // no length announced
	c.send("PUT /v1/cache/demo/large HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", 1<<20+1)
	c.send("%s\r\n0\r\n\r\n", strings.Repeat("x", 1<<20+1))
	c.read("PUT").wants(t, 413, "body_too_large")
	s.do("GET", "/v1/cache/demo/large", "").wants(t, 404, "not_found")
}

func TestABodyThatIsRefusedIsNotWaitedFor(t *testing.T) {
	s := serveAPI(t)
	c := s.raw()
	c.send("PUT /v1/cache/demo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n")
	c.read("PUT").wants(t, 413, "body_too_large")
	c = s.raw()
	c.send("PUT /v1/cache/demo/a?ttl=0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	c.read("PUT").wants(t, 400, "bad_ttl")
}

func TestABodyThatIsCutOffStoresNothing(t *testing.T) {
	s := serveAPI(t)
	for name, request := range map[string]string{
		"shorter than announced": "Content-Length: 10\r\n\r\nhello",
		"without its last chunk": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"within a chunk":         "Transfer-Encoding: chunked\r\n\r\na\r\nhello",
		"with a broken chunk":    "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			c := s.raw()
			c.send("PUT /v1/cache/demo/cut HTTP/1.1\r\nHost: localhost\r\n%s", request)
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			c.read("PUT").wants(t, 400, "body_cut_off")
			s.do("GET", "/v1/cache/demo/cut", "").wants(t, 404, "not_found")
		})
	}
}

func TestABodyThatTricklesIsGivenUp(t *testing.T) {
	s := serveAPI(t)
	// The deadline of the connection is what ReadTimeout sets in service.
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		s.api.ServeHTTP(w, r)
	})
	slow := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = slow.Serve(ln) }() // ends with the Close below
	t.Cleanup(func() { _ = slow.Close() })
	c := dialRaw(t, ln.Addr().String())
	c.send("PUT /v1/cache/demo/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhel")
	c.read("PUT").wants(t, 408, "body_timeout")
	s.do("GET", "/v1/cache/demo/slow", "").wants(t, 404, "not_found")
}
