package loopback

import (
	"net"
	"testing"
)

func TestSpanStaysOutOfTheEphemeralRange(t *testing.T) {
	tests := []struct {
		name      string
		low, high int
		from, to  int
	}{
		{"Linux as it comes", 32768, 60999, lowest, 32768},
		{"BSD", 49152, 65535, lowest, 49152},
		{"range moved down", 1024, 30000, 30001, 65536},
		{"range moved down, room below our lowest only", 1024, 5000, lowest, 65536},
		{"no room anywhere", 1024, 65535, lowest, 65536},
		{"a little room below", lowest + enough, 65535, lowest, lowest + enough},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, to := span(tt.low, tt.high)
			if from != tt.from || to != tt.to {
				t.Errorf("span(%d, %d) = [%d, %d), want [%d, %d)", tt.low, tt.high, from, to, tt.from, tt.to)
			}
		})
	}
}

func TestReservedPortIsGivenToNobodyElse(t *testing.T) {
	p := reserve(t)
	if _, err := claim(p.Number()); err == nil {
		t.Fatalf("port %d was claimed twice", p.Number())
	}
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := claim(p.Number())
	if err != nil {
		t.Fatalf("claim of a released port: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
	if err := again.Release(); err != nil {
		t.Errorf("second Release = %v, want nil", err)
	}
}

func TestReservedPortCanBeListenedOn(t *testing.T) {
	p := reserve(t)
	for range 2 { // twice: a server is stopped and started on its port
		l, err := net.Listen("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPortInUseIsNotClaimed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	number := l.Addr().(*net.TCPAddr).Port
	if p, err := claim(number); err == nil {
		_ = p.Release()
		t.Errorf("port %d has a listener and was claimed", number)
	}
}

func TestPortsAreOutsideTheEphemeralRange(t *testing.T) {
	low, high := ephemeral()
	if from, _ := span(low, high); from >= low && from <= high {
		t.Skipf("the ephemeral range %d-%d leaves no room", low, high)
	}
	for range 20 {
		if n := reserve(t).Number(); n >= low && n <= high {
			t.Errorf("port %d is in the ephemeral range %d-%d", n, low, high)
		}
	}
}

func reserve(t *testing.T) *Port {
	t.Helper()
	p, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Release() })
	return p
}
