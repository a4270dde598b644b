package daemon

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
	"github.com/evercache/evercache/status"
)

func TestParseKey(t *testing.T) {
	for _, tc := range []struct{ segment, key string }{
		{"a", "a"},
		{"a%2Fb", "a/b"},
		{"a%2fb", "a/b"},
		{"%00%FF", "\x00\xff"},
		{"..", ".."},
		{".", "."},
		{"%2E%2E", ".."},
		{"a+b", "a+b"},
		{"a%20b", "a b"},
		{"a:b;c,d=e&f", "a:b;c,d=e&f"},
		{"\"{ü}", "\"{ü}"},
		{strings.Repeat("%41", evercache.MaxKeyBytes), strings.Repeat("A", evercache.MaxKeyBytes)},
	} {
		if key, err := parseKey(tc.segment); err != nil || key != tc.key {
			t.Errorf("parseKey(%.40q) = %.40q, %v; want %.40q", tc.segment, key, err, tc.key)
		}
	}
	for _, segment := range []string{"", "a/b", "/", "a//x", "%", "%2", "%zz", strings.Repeat("a", evercache.MaxKeyBytes+1)} {
		if key, err := parseKey(segment); err == nil || err.code != "bad_key" {
			t.Errorf("parseKey(%.40q) = %.40q, %v; want bad_key", segment, key, err)
		}
	}
}

func TestParseClassChecksWhatComesOutOfTheDecoding(t *testing.T) {
	for _, tc := range []struct{ segment, class string }{
		{"demo", "demo"}, {"%64emo", "demo"}, {"0_a-b", "0_a-b"}, {strings.Repeat("a", 64), strings.Repeat("a", 64)},
	} {
		if class, err := parseClass(tc.segment); err != nil || class != tc.class {
			t.Errorf("parseClass(%q) = %q, %v; want %q", tc.segment, class, err, tc.class)
		}
	}
	for _, segment := range []string{"", "-a", "_a", "A", "a%2Fb", "a%3Ab", "a.b", "..", "%", "%zz", "ü", strings.Repeat("a", 65)} {
		if class, err := parseClass(segment); err == nil || err.code != "bad_class" {
			t.Errorf("parseClass(%q) = %q, %v; want bad_class", segment, class, err)
		}
	}
}

// A path is taken as it was sent: what net/http decodes or cleans must not
// change which key is meant.
func TestRawPathIsWhatWasSent(t *testing.T) {
	for _, path := range []string{
		"/v1/cache/demo/a", "/v1/cache/demo/a%2Fb", "/v1/cache/demo/a%2Fb\"", "/v1/cache/demo/a//x",
		"/v1/cache/demo/../x", "//v1/cache/demo/a", "/v1/cache/demo/%00", "/v1/cache/demo/a%2Fb{}",
	} {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := rawPath(u); got != path {
			t.Errorf("rawPath of %q = %q", path, got)
		}
	}
}

// Whatever bytes a key has, there is one way to write it that comes back whole.
func FuzzKeyRoundTrip(f *testing.F) {
	for _, key := range []string{"a", "a/b", "\x00\xff", "..", "a%2Fb", "ü", "a?b#c"} {
		f.Add(key)
	}
	rs := testRoutes()
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" || len(key) > evercache.MaxKeyBytes {
			return // not a key
		}
		escaped := url.PathEscape(key)
		r := httptest.NewRequest("GET", cachePrefix+"demo/"+escaped, nil)
		tg := rs.match(rawPath(r.URL))
		if tg.route != rs.cacheKey {
			t.Fatalf("route of %q = %v", escaped, tg.route)
		}
		if got, err := parseKey(tg.key); err != nil || got != key {
			t.Errorf("%q as %q came back as %q, %v", key, escaped, got, err)
		}
	})
}

// Any path at all is answered without a panic and never reaches two keys.
func FuzzMatch(f *testing.F) {
	for _, path := range []string{"/", "", "/v1/cache/", "/v1/cache/a", "/v1/cache/a/b", "/v1/cache/a//b", "/v1/cache/%/%", "/health"} {
		f.Add(path)
	}
	rs := testRoutes()
	f.Fuzz(func(t *testing.T, path string) {
		tg := rs.match(path)
		class, classErr := parseClass(tg.class)
		if classErr == nil && evercache.ValidClass(class) != nil {
			t.Errorf("%q: class %q was let through", path, class)
		}
		key, keyErr := parseKey(tg.key)
		if keyErr == nil && (key == "" || len(key) > evercache.MaxKeyBytes) {
			t.Errorf("%q: key %q was let through", path, key)
		}
		if keyErr == nil && strings.Contains(tg.key, "/") {
			t.Errorf("%q: two segments became one key", path)
		}
	})
}

func testRoutes() *routes {
	c := noClient{}
	return (&api{client: c, status: status.New(c), metrics: newHTTPMetrics(c)}).newRoutes()
}

// noClient is a client that knows nothing.
type noClient struct{}

func (noClient) Health() health.Report { return health.Report{} }
func (noClient) Stats() stats.Snapshot { return stats.Snapshot{} }
