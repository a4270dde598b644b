package survey_test

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// unanswered is an address where no connection is taken and none is refused, as behind a
// firewall that drops packets: the queue of its listener is full.
func unanswered(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
	for range 10 { // until nobody is let in
		c, err := net.DialTimeout("tcp", addr, 300*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the queue of the listener does not fill")
	return ""
}

// Nothing hangs there: the remedy is the address or the firewall, not the server.
func TestAnAddressThatDropsPacketsIsUnreachable(t *testing.T) {
	t.Parallel()
	addr := unanswered(t)
	for _, tt := range []struct {
		o    evercache.Options
		code string
	}{
		{evercache.Options{Addr: addr}, health.CodeRedisUnreachable},
		{evercache.Options{Sentinels: []string{addr}, MasterName: "m"}, health.CodeSentinelUnreachable},
		{evercache.Options{ClusterNodes: []string{addr}}, health.CodeClusterUnreachable},
	} {
		target := survey.TargetOf(tt.o)
		target.Timeout = 1500 * time.Millisecond
		s := survey.Take(t.Context(), target)
		var f *survey.Fault
		if len(s.Nodes) > 0 {
			f = s.Nodes[0].Fault
		} else {
			f = s.Sentinels[0].Fault
		}
		if f == nil || f.Code() != tt.code || f.Connected {
			t.Errorf("the fault is %+v, want %s", f, tt.code)
		}
		if s.Took > 10*time.Second {
			t.Errorf("it took %v", s.Took)
		}
	}
}
