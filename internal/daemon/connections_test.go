package daemon

import (
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

// holds occupies a connection with a body that does not come.
func (r *running) holds() *raw {
	r.t.Helper()
	c := r.raw()
	c.send("PUT /v1/cache/demo/held?ttl=1m HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
	if line, err := c.r.ReadString('\n'); err != nil || !strings.Contains(line, "100") { // the handler reads
		r.t.Fatalf("%q, %v", line, err)
	}
	return c
}

func TestWhereEveryConnectionHasARequestFurtherOnesHearSo(t *testing.T) {
	r := few(t, 2)
	held := []*raw{r.holds(), r.holds()}
	for range 2 {
		a := r.raw().asks("/readyz")
		a.wants(t, http.StatusServiceUnavailable, "too_many_connections")
		if a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	r.raw().asks("/livez").wantsStatus(t, http.StatusOK) // or it would be restarted
	held[0].Close()
	until(t, func() bool { return r.raw().asks("/readyz").StatusCode == http.StatusOK })
	held[1].Close()
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
