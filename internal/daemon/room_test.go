package daemon

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
)

// stalled are connections with a body of which the end does not come, more than
// there is room for.
func (r *running) stalled(n, bytes int) (all []*raw) {
	r.t.Helper()
	part := strings.Repeat("x", bytes-1)
	for i := range n {
		c := r.raw()
		c.send("PUT /v1/cache/demo/stalled%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", i, bytes)
		go func() { _, _ = io.WriteString(c, part) }() // until it is closed
		all = append(all, c)
	}
	return all
}

func (r *running) put(key string, bytes int) answer {
	r.t.Helper()
	c := r.raw()
	c.send("PUT /v1/cache/demo/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", key, bytes, strings.Repeat("v", bytes))
	return c.read("PUT")
}

// TestBodiesThatDoNotComeMakeRoomForOthers of every size, and hold no more than
// there is room for.
func TestBodiesThatDoNotComeMakeRoomForOthers(t *testing.T) {
	r := few(t, 200, "EVERCACHE_BODY_MEMORY=2MiB", "EVERCACHE_MAX_BODY=1MiB")
	r.stalled(60, 300<<10)
	for i, bytes := range []int{10, 10 << 10, 200 << 10, 1 << 20} {
		until(t, func() bool { return r.put(fmt.Sprint("v", i), bytes).StatusCode == http.StatusNoContent })
	}
	metrics := r.raw().asks("/metrics").body
	if !strings.Contains(metrics, `evercache_http_connections_closed_total{reason="slow"}`) || strings.Contains(metrics, `{reason="slow"} 0`) {
		t.Error("none of the slow connections was closed")
	}
}

// TestAnswersThatAreNotReadMakeRoomForOthers when the values are large.
func TestAnswersThatAreNotReadMakeRoomForOthers(t *testing.T) {
	r := few(t, 200, "EVERCACHE_BODY_MEMORY=12MiB", "EVERCACHE_MAX_BODY=6MiB")
	const size = 6 << 20 // more than the system takes of it
	r.put("large", size).wantsStatus(t, http.StatusNoContent)
	for range 10 {
		r.raw().send("GET /v1/cache/demo/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	until(t, func() bool {
		a := r.raw().asks("/v1/cache/demo/large")
		return a.StatusCode == http.StatusOK && len(a.body) == size
	})
}

func TestARoomHoldsNoMoreThanItsSize(t *testing.T) {
	r := newRoom(100)
	first, ok := r.take(t.Context(), 60, nil)
	if !ok {
		t.Fatal("no room in an empty one")
	}
	second := make(chan bool)
	go func() { // until the first gives its room back
		h, ok := r.take(t.Context(), 60, nil)
		h.giveBack()
		second <- ok
	}()
	until(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.waiting == 60 })
	if _, ok := r.take(t.Context(), 60, nil); ok {
		t.Error("more wait than there is room for, and one of them got some")
	}
	if used, refused := r.state(); used != 60 || refused != 1 {
		t.Errorf("%d bytes are used and %d were refused, want 60 and 1", used, refused)
	}
	first.giveBack()
	first.giveBack()
	if !<-second {
		t.Error("who waited got none")
	}
	whole, ok := r.take(t.Context(), 1000, nil)
	if used, _ := r.state(); !ok || used != 100 {
		t.Errorf("%v, %d bytes are used; what is larger than the room should have all of it", ok, used)
	}
	whole.giveBack()
	if used, _ := r.state(); used != 0 || r.waiting != 0 || r.ending != 0 || len(r.holders) != 0 {
		t.Errorf("an empty room has %d bytes, %d waiting, %d ending", used, r.waiting, r.ending)
	}
}

func TestABodyOfAnySizeArrivesWhole(t *testing.T) {
	s := serveAPI(t, "EVERCACHE_MAX_BODY=300KiB")
	for _, n := range []int{0, 1, freeBytes - 1, freeBytes, freeBytes + 1, smallBytes - 1, smallBytes, smallBytes + 1, 200_000, 300 << 10} {
		body := strings.Repeat("0123456789", n/10+1)[:n]
		s.do("PUT", "/v1/cache/demo/known", body).wantsStatus(t, http.StatusNoContent)
		req, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL+"/v1/cache/demo/chunked", io.MultiReader(bytes.NewReader([]byte(body))))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for _, key := range []string{"known", "chunked"} {
			if got := s.do("GET", "/v1/cache/demo/"+key, ""); got.body != body {
				t.Errorf("%d bytes, %s: %d came back (%d)", n, key, len(got.body), got.StatusCode)
			}
		}
	}
	if used, refused := s.api.rooms.state(); used != 0 || refused != 0 {
		t.Errorf("%d bytes are still held, %d refused", used, refused)
	}
}

func TestMoreDeletesByPrefixThanMayBeAreRefused(t *testing.T) {
	s := serveAPI(t)
	for range mostDeletes {
		s.api.deletes <- struct{}{}
	}
	s.do("DELETE", "/v1/cache/demo?prefix=a", "").wants(t, http.StatusServiceUnavailable, "too_many_deletes")
	<-s.api.deletes
	s.with(&fakeCache{receipt: evercache.Receipt{}}).do("DELETE", "/v1/cache/demo?prefix=a", "").wantsStatus(t, http.StatusOK)
}

// TestABodyThatNobodyWantsHoldsItsConnectionForAMomentOnly: it is refused before
// it has come.
func TestABodyThatNobodyWantsHoldsItsConnectionForAMomentOnly(t *testing.T) {
	s := serveAPI(t, "EVERCACHE_TOKEN=letmein-letmein-")
	c := s.raw()
	began := time.Now()
	c.send("PUT /v1/cache/demo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
	c.read("PUT").wants(t, http.StatusUnauthorized, "unauthorized")
	if took := time.Since(began); took > readTimeout/2 {
		t.Errorf("the answer took %v", took)
	}
}
