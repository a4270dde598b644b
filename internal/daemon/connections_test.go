package daemon

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
)

// few is a Daemon that takes few connections.
func few(t *testing.T, most int, environ ...string) *running {
	t.Helper()
	d, l := newDaemon(t, append(environ, "EVERCACHE_LISTEN=127.0.0.1:"+freePort(t))...)
	d.connections = most
	return runThis(t, d, l)
}

func (r *running) raw() *raw {
	r.t.Helper()
	return dialRaw(r.t, r.Addr().String())
}

// asks sends a request and reads its answer.
func (c *raw) asks(path string) answer {
	c.t.Helper()
	c.send("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
	return c.read("GET")
}

// closedByPeer waits until the other end has closed the connection.
func (c *raw) closedByPeer() bool {
	_, err := c.r.ReadByte()
	timeout, ok := err.(net.Error)
	return err != nil && (!ok || !timeout.Timeout())
}

func TestAConnectionThatIsQuietMakesRoomTheLongestQuietFirst(t *testing.T) {
	r := few(t, 3)
	var quiet []*raw
	for range 3 {
		c := r.raw()
		c.asks("/livez").wantsStatus(t, http.StatusOK)
		quiet = append(quiet, c)
		time.Sleep(20 * time.Millisecond) // the server knows that the answer is written
	}
	r.raw().asks("/readyz").wantsStatus(t, http.StatusOK)
	if !quiet[0].closedByPeer() {
		t.Error("the longest quiet connection is still there")
	}
	for _, c := range quiet[1:] {
		c.asks("/livez").wantsStatus(t, http.StatusOK)
	}
}

func TestASlowHeaderMakesRoom(t *testing.T) {
	r := few(t, 2)
	slow := []*raw{r.raw(), r.raw()}
	for _, c := range slow {
		c.send("GET /livez HTTP/1.1\r\nX-Slow: ")
	}
	r.raw().asks("/readyz").wantsStatus(t, http.StatusOK)
	if !slow[0].closedByPeer() {
		t.Error("the slow connection is still there")
	}
}

// TestThoseWithoutATokenMakeRoomForThoseWithOne, quiet or in the middle of a body.
func TestThoseWithoutATokenMakeRoomForThoseWithOne(t *testing.T) {
	r := few(t, 4, "EVERCACHE_TOKEN=letmein-letmein-")
	with := func(c *raw) answer {
		c.send("GET /v1/cache/demo/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer letmein-letmein-\r\n\r\n")
		return c.read("GET")
	}
	known := r.raw()
	with(known).wantsStatus(t, http.StatusNotFound)
	for i := range 12 {
		c := r.raw()
		if i%2 == 0 {
			c.asks("/livez").wantsStatus(t, http.StatusOK)
		} else {
			c.send("PUT /v1/cache/demo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
		}
		time.Sleep(20 * time.Millisecond) // the server knows what they are
	}
	with(r.raw()).wantsStatus(t, http.StatusNotFound)
	r.raw().asks("/livez").wantsStatus(t, http.StatusOK)
	with(known).wantsStatus(t, http.StatusNotFound)
}

// TestWhereEveryConnectionHasARequestFurtherOnesHearSo while we are the ones who are
// waited for.
func TestWhereEveryConnectionHasARequestFurtherOnesHearSo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, goOn := newBounded(ln, 2), make(chan struct{})
	began := make(chan bool, 2)
	srv := &http.Server{ConnContext: withSpoken, ConnState: between, Handler: answers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			began <- true
			<-goOn
		}
	}))}
	go func() { _ = srv.Serve(speaking{Listener: b, log: slog.New(slog.DiscardHandler)}) }() // until Close
	t.Cleanup(func() { _ = srv.Close(); b.refusals.Wait() })
	for range 2 {
		dialRaw(t, ln.Addr().String()).send("GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n")
		<-began
	}
	for range 2 {
		a := dialRaw(t, ln.Addr().String()).asks("/readyz")
		a.wants(t, http.StatusServiceUnavailable, "too_many_connections")
		if a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	dialRaw(t, ln.Addr().String()).asks("/livez").wantsStatus(t, http.StatusOK) // or it would be restarted
	close(goOn)
	until(t, func() bool { return dialRaw(t, ln.Addr().String()).asks("/readyz").StatusCode == http.StatusOK })
}

// TestABodyThatDoesNotComeMakesRoom as one that nobody reads does: both are waited
// for, and others are not to wait for them.
func TestABodyThatDoesNotComeMakesRoom(t *testing.T) {
	r := few(t, 2)
	for range 2 {
		r.raw().send("PUT /v1/cache/demo/held HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
	}
	time.Sleep(20 * time.Millisecond) // the server knows what they are
	for range 3 {
		r.raw().asks("/readyz").wantsStatus(t, http.StatusOK)
	}
}

func TestThousandsOfConnectionsTakeNoMoreThanTheirBound(t *testing.T) {
	const most = 200
	r := few(t, most)
	seen := make(chan bool, 16)
	done := make(chan struct{})
	for range cap(seen) { // each ends when done is closed or its share is done
		go func() {
			for range 3000 / cap(seen) {
				c, err := net.Dial("tcp", r.Addr().String())
				if err == nil {
					defer c.Close() // it stays open here
				}
				select {
				case <-done:
				default:
				}
			}
			seen <- true
			<-done
		}()
	}
	defer close(done)
	for range cap(seen) {
		<-seen
	}
	until(t, func() bool {
		a := r.raw().asks("/metrics")
		return a.StatusCode == http.StatusOK && strings.Contains(a.body, "evercache_http_connections_limit 200\n")
	})
}

func TestDescriptorsAreKeptForRedis(t *testing.T) {
	sentinels := func(n int) evercache.Options { return evercache.Options{Sentinels: make([]string, n)} }
	for _, c := range []struct {
		limit uint64
		open  int
		o     evercache.Options
		want  int
	}{
		{0, 8, evercache.Options{}, mostConnections},
		{1 << 62, 8, evercache.Options{}, mostConnections},
		{64, 8, evercache.Options{}, 32},
		{64, 8, sentinels(3), 15},
		{64, 8, sentinels(1), 9},
		{64, 30, evercache.Options{}, 10},
		{32, 8, sentinels(3), leastConnection},
		{1024, 8, evercache.Options{}, 992},
		{4096, 8, sentinels(64), mostConnections},
		{256, 8, evercache.Options{ClusterNodes: make([]string, 3)}, 152},
		{1024, 8, evercache.Options{ClusterNodes: make([]string, 64)}, 608},
	} {
		if got := connectionsWithin(c.limit, c.open, reserve(c.o)); got != c.want {
			t.Errorf("limit %d, %d open, %d sentinels: %d, want %d", c.limit, c.open, len(c.o.Sentinels), got, c.want)
		}
	}
	for most, want := range map[int]int{leastConnection: 1, 32: 1, fewConnections: 0, mostConnections: 0} {
		if got := len(descriptorFindings(most)); got != want {
			t.Errorf("%d connections: %d findings, want %d", most, got, want)
		}
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 30 s")
		}
	}
}
