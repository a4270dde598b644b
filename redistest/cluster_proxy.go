package redistest

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/evercache/evercache/internal/faultnet"
)

// proxied makes a proxy for each node that is asked for, and notes it under the node's address. Nodes ask at the same
// time, and not on the test's goroutine.
func proxied(tb testing.TB, byAddr map[string]*Proxy) func(addr string) (int, error) {
	tb.Helper()
	var mu sync.Mutex
	tb.Cleanup(func() {
		for _, p := range byAddr {
			if err := p.proxy.Close(); err != nil {
				tb.Errorf("redistest: %v", err)
			}
		}
	})
	return func(addr string) (int, error) {
		proxy, err := faultnet.New(addr)
		if err != nil {
			return 0, err
		}
		mu.Lock()
		byAddr[addr] = &Proxy{tb, proxy}
		mu.Unlock()
		_, port, err := net.SplitHostPort(proxy.Addr())
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(port)
	}
}
